// From the events of an upstream to tokens: choices told apart, what was not asked for kept back, and nothing called whole that is not.
import { EngineError, type TokenEvent, type TokenLogprobs } from '../engine.js';
import { type Chunk, type ChunkChoice, type ChunkUsage, readChunk } from './chunk.js';
import type { EventReader } from './events.js';
import { broken, faultOf, reportedFault } from './faults.js';
import { finishReasonOf } from './finish-reason.js';
import { type ListedToken, largestVocabulary, readLogprobs, uncertaintyOf } from './logprobs.js';
import type { PreparedRequest } from './request-body.js';
import type { UpstreamFacts } from './upstream-facts.js';

export interface AnswerInput {
  readonly request: Pick<PreparedRequest, 'choices' | 'askedTop' | 'clientTop' | 'bounds'>;
  readonly facts: Pick<UpstreamFacts, 'endMark' | 'usageInStreams' | 'vocabularySize'>;
  /** Cut out of what the upstream wrote into faults. */
  readonly secret: string | undefined;
}

/**
 * Tokens, a `finish` per choice, one `end`. Throws EngineError when the upstream reports an error, sends garbage, or stops before everything
 * that the probe saw it send: each choice's finish reason, the usage, the end mark.
 */
export async function* readAnswer(events: EventReader, input: AnswerInput): AsyncGenerator<TokenEvent, void, undefined> {
  const { request, facts } = input;
  const finished = new Set<number>();
  let usage: ChunkUsage | null = null;
  let queueWaitMs = 0;
  let pieces = 0;
  let marked = false;
  for (let event = await events.next(); event !== null; event = await events.next()) {
    if (event.kind === 'data' && event.data === '[DONE]') {
      marked = true;
      break;
    }
    const chunk = chunkOf(event.kind, event.data, input.secret);
    usage = chunk.usage ?? usage;
    queueWaitMs = chunk.queueWaitMs ?? queueWaitMs;
    for (const choice of chunk.choices) {
      if (choice.index >= request.choices) throw broken(`the upstream sent a choice ${choice.index} that nobody asked for`);
      for (const token of tokensOf(choice, input)) {
        if (finished.has(choice.index)) throw broken('the upstream went on after it had said that a choice was whole');
        pieces += 1;
        yield token;
      }
      if (choice.finishReason === null || finished.has(choice.index)) continue;
      const finishReason = finishReasonOf(choice.finishReason);
      if (finishReason === null) throw broken(`the upstream gave the request up (${choice.finishReason})`);
      finished.add(choice.index);
      yield { type: 'finish', choice: choice.index, finishReason };
    }
  }
  // An answer without its end was cut: telling the client that it is whole would be a lie.
  if (finished.size < request.choices) throw broken('the upstream ended its answer in the middle');
  if (facts.endMark && !marked) throw broken('the upstream ended its answer without its end mark');
  if (facts.usageInStreams && usage === null) throw broken('the upstream ended its answer without its usage');
  yield {
    type: 'end',
    usage: {
      inputTokens: usage?.inputTokens ?? 0,
      outputTokens: usage?.outputTokens ?? pieces,
      cachedTokens: usage?.cachedTokens ?? 0,
    },
    queueWaitMs,
  };
}

function chunkOf(kind: 'data' | 'error', data: string, secret: string | undefined): Chunk {
  const read = readChunk(data);
  if (read.kind === 'error') throw new EngineError(reportedFault(read.error, secret));
  if (kind === 'error') throw new EngineError(reportedFault({ message: data, kind: '' }, secret));
  if (read.kind === 'garbage')
    throw new EngineError(faultOf('engine.upstream-error', `the upstream sent ${read.why}`, { retryable: true }));
  return read.chunk;
}

/**
 * The tokens of one choice of one chunk. Their texts are the chunk's own text, cut at the listed tokens where these make it up exactly; where
 * they do not (held-back stop strings, reasoning, half characters) the first carries all of it.
 */
function tokensOf(choice: ChunkChoice, { request, facts }: AnswerInput): TokenEvent[] {
  const listed = request.askedTop === null ? [] : readLogprobs(choice.logprobs, request.askedTop);
  const { text, toolCalls, index } = choice;
  if (listed.length === 0 && text === '' && choice.reasoning === '' && toolCalls.length === 0) return [];
  const texts = listed.map((token) => token.text);
  const exact = texts.join('') === text;
  const count = Math.max(1, listed.length);
  return Array.from({ length: count }, (_, position): TokenEvent => {
    const token = listed[position];
    const first = position === 0;
    return {
      type: 'token',
      choice: index,
      text: exact ? (texts[position] ?? '') : first ? text : '',
      uncertainty:
        token !== undefined && request.bounds ? uncertaintyOf(token, facts.vocabularySize ?? largestVocabulary) : { kind: 'none' },
      ...(token !== undefined && request.clientTop !== null ? { logprobs: asked(token, request.clientTop) } : {}),
      ...(first && toolCalls.length > 0 ? { toolCalls } : {}),
      ...(first && choice.reasoning !== '' ? { reasoning: choice.reasoning } : {}),
    };
  });
}

/** No more than the client asked for: we may have asked for more. */
function asked({ text, bytes, logprob, top }: ListedToken, most: number): TokenLogprobs {
  return { text, bytes, logprob, top: top.slice(0, most) };
}
