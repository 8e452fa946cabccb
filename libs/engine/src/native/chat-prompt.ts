// Messages as the tokens that a model's chat template makes of them, open for an answer or for the rest of a call.
import { type LlamaModel, LlamaText, resolveChatWrapper, SpecialTokensText } from 'node-llama-cpp';
import type { ChatMessage, ToolDefinition } from '../engine.js';
import type { Vocabulary } from './decoder.js';
import type { CallPlan } from './tools/call-plan.js';
import { type CallSyntax, callSyntaxOf } from './tools/call-syntax.js';
import { historyOf } from './tools/tool-history.js';

export interface ChatPrompt {
  readonly syntax: CallSyntax;
  /** Text of messages is never read as special tokens. `start`: where the answer begins. */
  tokens(messages: readonly ChatMessage[], tools: readonly ToolDefinition[], start: CallPlan['start']): number[];
  /** Text of the template itself, its special tokens read. */
  template(text: string): number[];
}

/** Null: the model has no chat template that could be resolved. */
export function chatPromptOf(model: LlamaModel, vocabulary: Vocabulary): ChatPrompt | null {
  const wrapper = resolveChatWrapper(model);
  if (!wrapper) return null;
  const begin = model.tokens.bos;
  const template = (text: string): number[] => LlamaText(new SpecialTokensText(text)).tokenize(model.tokenizer);
  const endIn = (text: string): string | null => {
    const end = template(text).find((token) => vocabulary.isEnd(token));
    return end === undefined ? null : Buffer.from(vocabulary.spelling(end)).toString('utf8');
  };
  const syntax = callSyntaxOf(wrapper, { endIn });
  return {
    syntax,
    template,
    tokens: (messages, tools, start) => {
      const { items, functions } = historyOf(messages, tools, syntax);
      const { contextText } = wrapper.generateContextState({
        chatHistory: items,
        ...(functions ? { availableFunctions: functions, documentFunctionParams: true } : {}),
      });
      const tokens: number[] = LlamaText([contextText, new SpecialTokensText(openedBy(syntax, start))]).tokenize(model.tokenizer);
      return begin !== null && model.tokens.shouldPrependBosToken && tokens[0] !== begin ? [begin, ...tokens] : tokens;
    },
  };
}

/** What the answer would have to say first anyway is put there. */
function openedBy({ opening, beforeArguments }: CallSyntax, start: CallPlan['start']): string {
  if (start === 'free') return '';
  return start === 'name' ? opening : `${opening}${start.name}${beforeArguments(start.name)}`;
}
