// How a model writes calls of functions: the pieces of text around a name and its arguments, from the model's chat template or a plain form.
import { type ChatWrapper, LlamaText, SpecialToken, SpecialTokensText } from 'node-llama-cpp';

export interface CallSyntax {
  /** True: the template itself tells the model of functions, calls and results. */
  readonly ofTemplate: boolean;
  /** All before the name of the first call. */
  readonly opening: string;
  /** The beginning of `opening` by which a call is told from text. */
  readonly trigger: string;
  readonly beforeArguments: (name: string) => string;
  readonly afterArguments: (name: string) => string;
  /** All between what is after a call's arguments and the next one's name. Null: one call in an answer. */
  readonly between: string | null;
  /** After the last call, before the token that ends the answer. */
  readonly end: string;
}

/** What a model is told and shown whose template knows no functions: the form that most models have met. */
export const plainSyntax: CallSyntax = {
  ofTemplate: false,
  opening: '<tool_call>\n{"name": "',
  trigger: '<tool_call>',
  beforeArguments: () => '", "arguments": ',
  afterArguments: () => '}\n</tool_call>',
  between: '\n<tool_call>\n{"name": "',
  end: '',
};

/** What node-llama-cpp does for templates without functions; ours is closer to what models were trained on. */
const libraryDefault = '||call: ';
const leastTrigger = 3;

export interface SpecialTokens {
  /** Text of the special token in `text` that ends answers; null: there is none. */
  endIn(text: string): string | null;
}

export function callSyntaxOf(wrapper: ChatWrapper, special: SpecialTokens): CallSyntax {
  const { call, parallelism } = wrapper.settings.functions;
  const prefix = upToEnd(call.prefix, special);
  const section = parallelism ? upToEnd(parallelism.call.sectionPrefix, special) : '';
  const part = (text: string | LlamaText) => {
    const spelled = upToEnd(text, special);
    return (name: string): string => spelled.replaceAll('{{functionName}}', name);
  };
  const beforeArguments = part(call.paramsPrefix);
  const written = LlamaText(wrapper.generateFunctionCall('f', { a: 1 })).toString();
  // Templates that write arguments in another way than JSON, or more around a call than they say, are served by the plain form.
  const understood = prefix !== libraryDefault && written.startsWith(`${prefix}f${beforeArguments('f')}{"a"`);
  if (!understood || prefix.trim() === '') return plainSyntax;
  const opening = (section + prefix).trimStart();
  return {
    ofTemplate: true,
    opening,
    trigger: triggerOf(opening),
    beforeArguments,
    afterArguments: part(call.suffix),
    between: parallelism ? upToEnd(parallelism.call.betweenCalls ?? '', special) + prefix : null,
    end: parallelism ? upToEnd(parallelism.call.sectionSuffix ?? '', special) : '',
  };
}

/** A line break or brace may be spelled in several ways: what is before it tells enough where it is long enough. */
function triggerOf(opening: string): string {
  const at = opening.search(/[\n{]/);
  return at >= leastTrigger ? opening.slice(0, at) : opening.trimEnd();
}

/** The text with its special tokens spelled, up to the one that ends the answer: a grammar lets an answer end only when it is whole. */
function upToEnd(text: string | LlamaText, special: SpecialTokens): string {
  let spelled = '';
  for (const value of LlamaText(text).values) {
    if (typeof value === 'string') {
      spelled += value;
      continue;
    }
    if (value instanceof SpecialToken) return spelled;
    if (!(value instanceof SpecialTokensText)) continue;
    const end = special.endIn(value.value);
    if (end !== null) return spelled + value.value.slice(0, value.value.indexOf(end));
    spelled += value.value;
  }
  return spelled;
}
