// What an upstream can do, found by asking it for single tokens when its version is loaded: a few requests, each of one token, bounded together in time.
import { EngineError, type EngineFault } from '../engine.js';
import { type Chunk, readChunk } from './chunk.js';
import { type Connection, NotAStream } from './connection.js';
import { samplingFields } from './dialect.js';
import { EventReader } from './events.js';
import { errorIn, faultOf, refusalFault, reportedFault } from './faults.js';
import { type Identity, identify, json, modelIn } from './identify.js';
import { type ListedToken, readLogprobs } from './logprobs.js';
import { logprobFields } from './request-body.js';
import type { UpstreamFacts } from './upstream-facts.js';

interface Step {
  readonly top: number | null;
  readonly usage: boolean;
}
/** OpenAI's and vLLM's most, TGI's and the older completions' most, the token's own alone, none, and nothing that servers of old do not know. */
const steps: readonly Step[] = [
  { top: 20, usage: true },
  { top: 5, usage: true },
  { top: 0, usage: true },
  { top: null, usage: true },
  { top: null, usage: false },
];
const mostRepeats = 2;
const largestPageBytes = 4 << 20;
const largestAnswerBytes = 1 << 20;

export interface ProbeInput {
  readonly connection: Connection;
  readonly model: string;
  readonly secret: string | undefined;
  /** Wall clock, milliseconds: for dates in Retry-After. */
  readonly now: number;
  readonly signal: AbortSignal;
}

type Endpoint = 'chat/completions' | 'completions';

/** One streamed token, as an upstream gave it. */
interface Sample {
  readonly endMark: boolean;
  readonly finished: boolean;
  readonly usage: Chunk['usage'];
  readonly tokens: readonly ListedToken[];
  /** Whether there was any text. */
  readonly said: boolean;
}

type Answered = { readonly ok: true; readonly sample: Sample } | { readonly ok: false; readonly fault: EngineFault };

/** Reads the page `models`. Faults: a refused credential, a model that the upstream does not have. Rejects with what the transport rejects with. */
export async function checkModel({
  connection,
  model,
  signal,
}: ProbeInput): Promise<{ readonly fault: EngineFault } | { readonly identity: () => Promise<Identity> }> {
  const page = await connection.get(`${connection.target.apiPath}models`, signal, largestPageBytes);
  if (page.status === 401 || page.status === 403) {
    return {
      fault: faultOf('engine.load-failed', `the upstream refuses our credential (HTTP ${page.status})`, {
        field: 'spec.engine.credentialEnv',
        remedy: 'Set the variable to a key that the upstream knows.',
      }),
    };
  }
  const list = modelIn(page, model);
  if (list !== null && 'code' in list) return { fault: list };
  return { identity: async () => await identify(connection, page, list, signal) };
}

/** Throws EngineError `engine.load-failed` when the upstream cannot serve; `engine.overloaded` and the like when it cannot now. */
export async function probe(input: ProbeInput, identity: Identity): Promise<UpstreamFacts> {
  const chat = await probeEndpoint('chat/completions', steps, { ...input, identity });
  if (!chat.ok && isPassing(chat.fault)) throw new EngineError(chat.fault);
  // A model without a chat template still completes text; a chat server may lack plain completions, which is no fault.
  const completions = await probeEndpoint('completions', chat.ok ? stepsFrom(chat.found.top) : steps, { ...input, identity });
  const first = chat.ok ? chat.found : completions.ok ? completions.found : null;
  if (first === null) throw new EngineError(chat.ok ? unasked() : refused(chat.fault));
  const question = { ...input, identity, endpoint: first.endpoint, step: first.step, maxTokensField: first.maxTokensField };
  return {
    dialect: identity.dialect,
    version: identity.version,
    contextSize: identity.contextSize,
    vocabularySize: identity.vocabularySize,
    maxParallel: identity.maxParallel,
    chat: chat.ok ? { topLogprobs: chat.found.top } : null,
    completions: completions.ok ? { topLogprobs: topOf(completions.found, chat.ok ? chat.found.top : null) } : null,
    rawLogprobs: await isRaw(first.sample, question),
    usageInStreams: first.sample.usage !== null,
    cachedTokens: typeof first.sample.usage?.cachedTokens === 'number',
    endMark: first.sample.endMark,
    maxTokensField: first.maxTokensField,
  };
}

/** What made an endpoint answer, and what it gave. */
interface Found {
  readonly endpoint: Endpoint;
  readonly step: Step;
  readonly maxTokensField: UpstreamFacts['maxTokensField'];
  readonly sample: Sample;
  /** As in EndpointFacts. */
  readonly top: number | null;
}

async function probeEndpoint(
  endpoint: Endpoint,
  tries: readonly Step[],
  input: ProbeInput & { readonly identity: Identity },
): Promise<{ readonly ok: true; readonly found: Found } | { readonly ok: false; readonly fault: EngineFault }> {
  let maxTokensField: UpstreamFacts['maxTokensField'] = 'max_tokens';
  let fault = unasked();
  for (const step of tries) {
    let answered = await askUntilSaid({ ...input, endpoint, step, maxTokensField, temperature: 1 });
    if (!answered.ok && maxTokensField === 'max_tokens' && answered.fault.message.includes('max_completion_tokens')) {
      maxTokensField = 'max_completion_tokens';
      answered = await askUntilSaid({ ...input, endpoint, step, maxTokensField, temperature: 1 });
    }
    if (answered.ok) {
      const { sample } = answered;
      const given = step.top === null || sample.tokens.length === 0 ? null : Math.max(...sample.tokens.map((token) => token.top.length));
      return { ok: true, found: { endpoint, step, maxTokensField, sample, top: given } };
    }
    fault = answered.fault;
    // Only a refused request may be refused for what it asks for.
    if (fault.code !== 'engine.bad-request') break;
  }
  return { ok: false, fault };
}

/** What the endpoint took without objection and never had an occasion to show, it is believed to give where its neighbour does. */
function topOf({ top, sample, step }: Found, neighbour: number | null): number | null {
  return top === null && neighbour !== null && isMute(sample) ? step.top : top;
}

function stepsFrom(top: number | null): readonly Step[] {
  return steps.filter((step) => (step.top ?? -1) <= (top ?? -1));
}

function unasked(): EngineFault {
  return faultOf('engine.load-failed', 'the upstream was asked nothing');
}

function refused(fault: EngineFault): EngineFault {
  return { ...fault, code: 'engine.load-failed', message: `the upstream cannot serve: ${fault.message}` };
}

/** Not a property of the upstream but of this moment: the caller tries again later. */
function isPassing({ code, retryable }: EngineFault): boolean {
  return retryable && (code === 'engine.overloaded' || code === 'engine.timeout' || code === 'engine.upstream-unreachable');
}

/**
 * Whether log probabilities are taken before temperature. At half of it, tempered ones lie twice as far apart; equal ones (a flat start)
 * cannot tell, and are taken as raw.
 */
async function isRaw(sample: Sample, question: Omit<Question, 'temperature'>): Promise<boolean> {
  const warm = spreadOf(sample);
  if (warm === null) return true;
  const other = await ask({ ...question, temperature: 0.5 });
  const cold = other.ok ? spreadOf(other.sample) : null;
  return cold === null || cold < warm * 1.5 + 0.05;
}

/** Nats between the likeliest and the tenth likeliest token (or the last there is) of the first position. */
function spreadOf({ tokens }: Sample): number | null {
  const top = tokens[0]?.top.filter(({ logprob }) => logprob > -100).slice(0, 10) ?? [];
  const [first, last] = [top[0], top.at(-1)];
  return first && last && first !== last ? first.logprob - last.logprob : null;
}

interface Question extends ProbeInput {
  readonly identity: Identity;
  readonly endpoint: Endpoint;
  readonly step: Step;
  readonly maxTokensField: UpstreamFacts['maxTokensField'];
  readonly temperature: number;
}

/** A model may end its answer with its very first token, which some servers then say nothing of: asked again, it rarely does so each time. */
async function askUntilSaid(question: Question): Promise<Answered> {
  let answered = await ask(question);
  for (let again = 0; again < mostRepeats && answered.ok && question.step.top !== null && isMute(answered.sample); again += 1) {
    answered = await ask(question);
  }
  return answered;
}

function isMute({ tokens, said }: Sample): boolean {
  return tokens.length === 0 && !said;
}

/** One streamed token. Rejects with what the transport rejects with. */
async function ask(question: Question): Promise<Answered> {
  const { connection, model, secret, now, signal, identity, endpoint, step, maxTokensField, temperature } = question;
  const sampling = { temperature, topP: 1, topK: 0, minP: 0, maxTokens: 1, stop: [] };
  const chat = endpoint === 'chat/completions';
  const body = JSON.stringify({
    model,
    ...(chat ? { messages: [{ role: 'user', content: 'Hello' }] } : { prompt: 'Hello' }),
    ...samplingFields(sampling, identity.dialect, maxTokensField),
    ...logprobFields(step.top, chat),
    stream: true,
    ...(step.usage ? { stream_options: { include_usage: true } } : {}),
  });
  const given = new AbortController();
  try {
    const answer = await connection.stream(`${connection.target.apiPath}${endpoint}`, body, AbortSignal.any([signal, given.signal]));
    if ('refusal' in answer) return { ok: false, fault: refusalFault(answer.refusal, now, secret) };
    answer.body.on('error', () => undefined);
    return await readSample(new EventReader(answer.body, largestAnswerBytes), step.top ?? 0, secret);
  } catch (error) {
    if (!(error instanceof NotAStream)) throw error;
    const reported = errorIn(json(error.text));
    return { ok: false, fault: reported ? reportedFault(reported, secret) : noStream(error.message) };
  } finally {
    // An upstream that goes on after its one token is not waited for.
    given.abort();
  }
}

async function readSample(events: EventReader, top: number, secret: string | undefined): Promise<Answered> {
  let usage: Chunk['usage'] = null;
  let finished = false;
  let said = false;
  let endMark = false;
  const tokens: ListedToken[] = [];
  for (let event = await events.next(); event !== null; event = await events.next()) {
    if (event.data === '[DONE]') {
      endMark = true;
      break;
    }
    const read = readChunk(event.data);
    if (read.kind === 'error') return { ok: false, fault: reportedFault(read.error, secret) };
    if (read.kind === 'garbage') return { ok: false, fault: faultOf('engine.upstream-error', `it sent ${read.why}`) };
    usage = read.chunk.usage ?? usage;
    for (const choice of read.chunk.choices) {
      tokens.push(...readLogprobs(choice.logprobs, top));
      said ||= choice.text !== '' || choice.reasoning !== '';
      finished ||= choice.finishReason !== null;
    }
  }
  if (!finished) return { ok: false, fault: faultOf('engine.upstream-error', 'it ended an answer of one token in the middle') };
  return { ok: true, sample: { usage, finished, endMark, tokens, said } };
}

function noStream(message: string): EngineFault {
  return faultOf('engine.load-failed', message, {
    field: 'spec.engine.baseUrl',
    remedy: 'Serin needs answers as server-sent events: let the upstream, and every proxy before it, stream.',
  });
}
