// A streamed response: typed events in OpenAI's order, numbered through, every item opened, filled and closed.
import type { AnswerHead, AnswerPiece, ChunkWriter, FinishReason, ToldStep } from '../answer-format.js';
import { serinBlock } from '../answer-format.js';
import type { CallPiece } from '../tool-calls.js';
import {
  callItem,
  type ItemStatus,
  itemId,
  messageItem,
  outputLogprobs,
  type ResponseProgress,
  reasoningItem,
  responseObject,
  statusOf,
  textPart,
} from './object.js';
import type { ResponseBody } from './request.js';

type Json = Record<string, unknown>;

interface OpenItem {
  readonly id: string;
  readonly index: number;
  readonly pieces: string[];
  readonly steps: ToldStep[];
}

interface OpenCall extends OpenItem {
  readonly callId: string;
  readonly name: string;
}

/** Text and thought are written one after the other; calls side by side, and closed when the answer is whole. */
export class ResponseEvents implements ChunkWriter {
  private sequence = 0;
  private readonly output: Json[] = [];
  private said: OpenItem | null = null;
  private thought: OpenItem | null = null;
  private readonly calls = new Map<number, OpenCall>();
  private finishReason: FinishReason | null = null;

  constructor(
    private readonly body: ResponseBody,
    private readonly head: AnswerHead,
  ) {}

  open(): string {
    const response = this.response({ status: 'in_progress', usage: null });
    return this.event('response.created', { response }) + this.event('response.in_progress', { response });
  }

  piece(_choice: number, { text, step, reasoning, calls }: AnswerPiece): string {
    let events = '';
    if (reasoning !== '') events += this.think(reasoning);
    if (text !== '' || step !== null) events += this.say(text, step);
    for (const piece of calls) events += this.call(piece);
    return events;
  }

  finish(_choice: number, reason: FinishReason): string {
    this.finishReason = reason;
    const empty = this.output.length === 0 ? this.say('', null) : '';
    const status = statusOf(reason);
    return empty + this.closeThought(status) + this.closeText(status) + this.closeCalls(status);
  }

  end(usage: Parameters<ChunkWriter['end']>[0], uncertainty: Parameters<ChunkWriter['end']>[1]): string {
    const status = statusOf(this.finishReason ?? 'stop');
    const response = { ...this.response({ status, usage }), ...serinBlock(this.head, uncertainty) };
    return this.event(`response.${status}`, { response });
  }

  cut({ code, message, param }: Parameters<ChunkWriter['cut']>[0]): string {
    const response = this.response({ status: 'failed', usage: null, error: { code: 'server_error', message } });
    // The second is what client libraries throw.
    return this.event('response.failed', { response }) + this.event('error', { code, message, param });
  }

  private think(text: string): string {
    let events = this.closeText('completed');
    if (!this.thought) {
      this.thought = this.begin('rs', (id) => reasoningItem(id, 'in_progress', ''));
      events += this.added(this.thought) + this.partEvent('added', this.thought, { type: 'reasoning_text', text: '' });
    }
    this.thought.pieces.push(text);
    return events + this.event('response.reasoning_text.delta', { ...placeOf(this.thought), content_index: 0, delta: text });
  }

  private say(text: string, step: ToldStep | null): string {
    let events = this.closeThought('completed');
    if (!this.said) {
      this.said = this.begin('msg', (id) => messageItem(id, 'in_progress', []));
      events += this.added(this.said) + this.partEvent('added', this.said, textPart('', []));
    }
    const steps = step === null ? [] : [step];
    this.said.pieces.push(text);
    this.said.steps.push(...steps);
    if (text === '' && step === null) return events;
    const delta = { ...placeOf(this.said), content_index: 0, delta: text, logprobs: outputLogprobs(steps) };
    return events + this.event('response.output_text.delta', delta);
  }

  private call({ index, id, name, arguments: given = '' }: CallPiece): string {
    let events = '';
    let call = this.calls.get(index);
    if (!call) {
      events += this.closeThought('completed') + this.closeText('completed');
      const begun = { callId: id ?? '', name: name ?? '' };
      call = {
        ...this.begin('fc', (item) => callItem(item, 'in_progress', { id: begun.callId, name: begun.name, arguments: '' })),
        ...begun,
      };
      this.calls.set(index, call);
      events += this.added(call);
    }
    if (given === '') return events;
    call.pieces.push(given);
    return events + this.event('response.function_call_arguments.delta', { ...placeOf(call), delta: given });
  }

  private closeThought(status: ItemStatus): string {
    const { thought } = this;
    if (!thought) return '';
    this.thought = null;
    const text = thought.pieces.join('');
    return (
      this.event('response.reasoning_text.done', { ...placeOf(thought), content_index: 0, text }) +
      this.partEvent('done', thought, { type: 'reasoning_text', text }) +
      this.done(thought, reasoningItem(thought.id, status, text))
    );
  }

  private closeText(status: ItemStatus): string {
    const { said } = this;
    if (!said) return '';
    this.said = null;
    const text = said.pieces.join('');
    const part = textPart(text, said.steps);
    return (
      this.event('response.output_text.done', { ...placeOf(said), content_index: 0, text, logprobs: part['logprobs'] }) +
      this.partEvent('done', said, part) +
      this.done(said, messageItem(said.id, status, [part]))
    );
  }

  private closeCalls(status: ItemStatus): string {
    const calls = [...this.calls.values()];
    this.calls.clear();
    return calls
      .map((call, place) => {
        const given = call.pieces.join('');
        // Only the last one can have been cut.
        const ended = place === calls.length - 1 ? status : 'completed';
        return (
          this.event('response.function_call_arguments.done', { ...placeOf(call), name: call.name, arguments: given }) +
          this.done(call, callItem(call.id, ended, { id: call.callId, name: call.name, arguments: given }))
        );
      })
      .join('');
  }

  private begin(kind: 'msg' | 'fc' | 'rs', make: (id: string) => Json): OpenItem {
    const index = this.output.length;
    const id = itemId(this.head, kind, index);
    this.output.push(make(id));
    return { id, index, pieces: [], steps: [] };
  }

  private added({ index }: OpenItem): string {
    return this.event('response.output_item.added', { output_index: index, item: this.output[index] });
  }

  private done({ index }: OpenItem, item: Json): string {
    this.output[index] = item;
    return this.event('response.output_item.done', { output_index: index, item });
  }

  private partEvent(what: 'added' | 'done', item: OpenItem, part: Json): string {
    return this.event(`response.content_part.${what}`, { ...placeOf(item), content_index: 0, part });
  }

  private response(progress: Omit<ResponseProgress, 'output' | 'finishReason'>): Json {
    return responseObject(this.body, this.head, { ...progress, output: this.output, finishReason: this.finishReason });
  }

  private event(type: string, fields: Json): string {
    const data = JSON.stringify({ type, sequence_number: this.sequence++, ...fields });
    return `event: ${type}\ndata: ${data}\n\n`;
  }
}

function placeOf({ id, index }: OpenItem): Json {
  return { item_id: id, output_index: index };
}
