// A generating request from end to end: admit, answer, and leave exactly one observation and one end state behind, whatever the number of tries.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, Crowd, type Rng } from '#libs/base';
import { openAiError } from '#libs/openai';
import type { Log } from '#libs/telemetry';
import type { AnswerCache } from '../cache/answer-cache.js';
import type { StoredAnswer } from '../cache/response-cache.js';
import type { EnginePool, Served } from '../engines/pool.js';
import { bothTaps } from '../kept-answers/kept-answers.js';
import type { Door } from '../limits/door.js';
import type { Entry, Limits as KeyLimits } from '../limits/limits.js';
import type { Ending } from '../observe/end-state.js';
import { observe } from '../observe/observed.js';
import type { Recorder } from '../observe/recorder.js';
import type { RequestBook } from '../observe/request-book.js';
import type { Quality } from '../quality/quality.js';
import { Client } from '../relay/client.js';
import type { Patience } from '../relay/patience.js';
import { relayAttempt } from '../relay/relay-attempt.js';
import { shortWay } from '../relay/short-way.js';
import { answeredOf } from '../request-log/answered.js';
import type { RoutingFeed } from '../routing/feed.js';
import type { FirstAnswers } from '../routing/first-answers.js';
import type { Shadow } from '../shadow/shadow.js';
import { type Admitted, admit } from './admit.js';
import { type Answer, type AnswerWishes, StreamedAnswer, WholeAnswer } from './answer.js';
import { type Attempt, attempt } from './attempt.js';
import { clientError } from './client-error.js';
import type { Deadlines, Limits } from './deadlines.js';
import type { Endpoint } from './endpoint.js';
import { fingerprintOf } from './fingerprint.js';
import { nothingMeasured } from './measurement.js';
import { RetryBudget } from './retry-budget.js';

export interface CompletionParts {
  readonly feed: RoutingFeed;
  readonly pool: EnginePool;
  readonly recorder: Recorder;
  readonly book: RequestBook;
  readonly deadlines: Deadlines;
  readonly patience: Patience;
  readonly limits: KeyLimits;
  readonly shadow: Shadow;
  readonly quality: Pick<Quality, 'listen' | 'offer'>;
  readonly firstAnswers: FirstAnswers;
  /** How much of an answer's beginning the request log wants; null: there is none. */
  readonly keepAnswerBytes: number | null;
  readonly cache: AnswerCache;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

function notLoaded(nowMs: number): Attempt {
  return {
    ...nothingMeasured,
    state: 'upstreamError',
    outcome: 'error',
    fault: { code: 'engine.not-loaded', message: 'the version has no engine on this gateway', retryable: true },
    usage: null,
    queueWaitMs: null,
    turnAtMs: nowMs,
    overAtMs: nowMs,
  };
}

/** A request on its way, whatever version is tried. */
interface Underway {
  readonly endpoint: Endpoint;
  readonly client: Client;
  readonly requestId: string;
  readonly limits: Limits;
  readonly assignedAt: number;
  readonly startedAtMs: number;
  /** When all of it must be over, on the monotonic clock. */
  readonly dueAtMs: number;
  /** Says errors in the endpoint's own words; null while the upstream's bytes are the answer. */
  answer: Answer | null;
  served: Served | null;
}

export class Completions {
  private readonly retries = new RetryBudget();
  private readonly running = new Crowd<Client>();

  constructor(private readonly parts: CompletionParts) {}

  /** Ends what runs: streams are cut with an error event, the rest gets an error. */
  stop(): void {
    for (const client of [...this.running.members]) client.stop();
  }

  /** Resolves when the answer has left or the client has. */
  async handle(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse, requestId: string): Promise<Ending> {
    const { feed, pool, rng, clock, patience, limits, keepAnswerBytes } = this.parts;
    const client = new Client(request, response, { requestId, version: null, rollout: null, cache: null }, patience, keepAnswerBytes ?? 0);
    const door: Door = { limits, response, usualOutputTokens: endpoint.usualMaxTokens };
    const admission = await admit(request, endpoint, { snapshot: feed.current, pool, rng, clock, door });
    if (!admission.ok) {
      // What is left of a refused body is not worth reading.
      client.fail(admission.error);
      return {
        version: null,
        state: client.left === null ? (admission.error.status === 429 ? 'shed' : 'rejected') : 'clientGone',
        code: admission.error.code,
      };
    }
    this.running.join(client);
    try {
      return await this.serve(endpoint, admission.value, client);
    } finally {
      this.running.leave(client);
    }
  }

  private async serve(endpoint: Endpoint, admitted: Admitted, client: Client): Promise<Ending> {
    const { clock, deadlines } = this.parts;
    const { assignment, wishes } = admitted;
    const startedAtMs = clock.monotonicMs();
    const limits = deadlines.limits(wishes.timeoutMs, wishes.priority === 'live');
    const underway: Underway = {
      endpoint,
      client,
      requestId: client.names.requestId,
      limits,
      assignedAt: clock.now(),
      startedAtMs,
      dueAtMs: startedAtMs + limits.totalMs,
      answer: null,
      served: null,
    };
    client.names.rollout = assignment.rolloutId;
    const lookup = this.parts.cache.look(endpoint, admitted);
    client.names.cache = lookup?.status ?? null;
    if (lookup?.status === 'hit') return this.replay(lookup.answer, admitted, client);

    this.retries.request(startedAtMs);
    const { shadow, quality } = this.parts;
    // Who is mirrored drew no coin of the arms, who is scored did: one of the two at most.
    const mirrored = shadow.listen(admitted);
    const scored = quality.listen(admitted, client.names.requestId);
    client.tap = bothTaps(lookup?.status === 'miss' ? lookup.recording : null, mirrored ?? scored);
    const observed = observe(this.parts, admitted, client, underway);
    const dropped = (error: unknown): never => {
      observed?.drop();
      mirrored?.drop();
      scored?.drop();
      throw error;
    };
    const tried = await this.tryVersion(assignment.versionId, admitted, underway).catch(dropped);
    client.tap = null;
    const opinion = await this.secondOpinion(admitted, tried, underway).catch(dropped);
    // What stable answers was no fault of the request: the candidate is smaller, or broken.
    const first: Attempt = opinion?.outcome === 'ok' ? { ...tried, state: 'upstreamError', outcome: 'error' } : tried;
    if (lookup?.status === 'miss' && first.outcome === 'ok') lookup.keep();
    this.judge(admitted, first);
    const observation = observed?.end(first, lookup?.status === 'miss' && lookup.known) ?? null;
    quality.offer({ requestId: underway.requestId, admitted, observation, kept: scored });
    const elsewhere = opinion === null ? this.secondChoice(admitted, first, underway) : null;
    const last = opinion ?? (elsewhere === null ? first : await this.tryAgain(elsewhere, first, admitted, underway));
    settle(admitted.entry, last, clock.monotonicMs());
    this.conclude(last, underway);
    if (last === first) {
      const { requestId, assignedAt } = underway;
      shadow.offer({ requestId, admitted, attempt: first, assignedAt, totalMs: clock.monotonicMs() - startedAtMs, kept: mirrored });
    } else mirrored?.drop();
    // With two tries the first one's time is neither the gateway's nor the answer's.
    if (last === first) this.parts.book.tookMs(first.turnAtMs - admitted.readAtMs + clock.monotonicMs() - first.overAtMs);
    const ending: Ending = { version: underway.served?.version ?? null, state: last.state };
    if (this.parts.keepAnswerBytes === null) return ending;
    return { ...ending, answered: answeredOf({ admitted, last, tries: last === first ? 1 : 2, answer: client.answer }) };
  }

  /** Nothing is spent, observed or mirrored: no version did anything. */
  private replay({ kind, body }: StoredAnswer, admitted: Admitted, client: Client): Ending {
    const version = this.parts.pool.find(admitted.assignment.versionId)?.version ?? null;
    client.names.version = version?.label ?? null;
    client.begin(kind, body.length);
    client.write(body);
    client.end();
    const ending: Ending = { version, state: client.left === 'gone' ? 'clientGone' : 'ok' };
    if (this.parts.keepAnswerBytes === null) return ending;
    const last = { ...nothingMeasured, fault: null, usage: null };
    return { ...ending, answered: answeredOf({ admitted, last, tries: 0, answer: client.answer }) };
  }

  private judge({ assignment }: Admitted, { outcome }: Attempt): void {
    if (assignment.arm !== 'candidate') return;
    const breaker = this.parts.pool.find(assignment.versionId)?.breaker;
    if (outcome === 'ok') breaker?.succeeded();
    else if (outcome === 'error' || outcome === 'timeout') breaker?.failed();
  }

  /** A request that a candidate refuses as the request's own fault is shown to stable, or a candidate with too small a context would fail users unseen. */
  private async secondOpinion(admitted: Admitted, tried: Attempt, underway: Underway): Promise<Attempt | null> {
    const { arm } = admitted.assignment;
    if (tried.state !== 'rejected' || arm !== 'candidate') return null;
    const elsewhere = this.retryAt(admitted.route.stable, underway);
    return elsewhere === null ? null : await this.tryAgain(elsewhere, tried, admitted, underway);
  }

  /** Where a failed request may be tried once more. */
  private secondChoice({ assignment, route }: Admitted, first: Attempt, underway: Underway): string | null {
    if (first.outcome === 'ok' || first.outcome === 'refused') return null;
    // A crash of the process says nothing about the request: the same version answers it after its restart.
    const same = first.fault?.code === 'engine.crashed' ? assignment.versionId : null;
    return this.retryAt(assignment.arm === 'candidate' || assignment.arm === 'control' ? route.stable : same, underway);
  }

  /** `versionId` if it may be tried now: only before the first byte, so that the client sees one whole answer, and within the budget. */
  private retryAt(versionId: string | null, { client, dueAtMs }: Underway): string | null {
    const nowMs = this.parts.clock.monotonicMs();
    if (versionId === null || client.left !== null || client.begun || nowMs >= dueAtMs) return null;
    const may = this.retries.retry(nowMs);
    this.parts.book.retried(may);
    return may ? versionId : null;
  }

  private async tryAgain(elsewhere: string, first: Attempt, admitted: Admitted, underway: Underway): Promise<Attempt> {
    const second = await this.tryVersion(elsewhere, admitted, underway);
    const { requestId } = underway;
    this.parts.log.warn(
      { requestId, model: admitted.asked.model, first: first.fault?.code, second: second.outcome },
      'a request was tried again',
    );
    return second;
  }

  /** What mirrors may not delay is told to them when it has reached the engine. */
  private async tryVersion(versionId: string, admitted: Admitted, underway: Underway): Promise<Attempt> {
    const { shadow } = this.parts;
    const { asked, wishes } = admitted;
    const trying = this.askVersion(versionId, admitted, underway);
    shadow.sent(versionId, asked.choices, wishes.priority);
    let refused = false;
    try {
      const tried = await trying;
      refused = tried.state === 'shed';
      return tried;
    } finally {
      shadow.over(versionId, asked.choices, wishes.priority, refused);
    }
  }

  private async askVersion(versionId: string, admitted: Admitted, underway: Underway): Promise<Attempt> {
    const { clock, deadlines, pool } = this.parts;
    const { asked, tenant, wishes, body } = admitted;
    const { client, endpoint, requestId, limits, dueAtMs } = underway;
    const served = pool.find(versionId);
    underway.served = served;
    if (!served?.engine) return notLoaded(clock.monotonicMs());
    const { engine, version, spec } = served;
    client.names.version = version.label;
    const startedAtMs = clock.monotonicMs();
    const totalMs = Math.max(1, Math.ceil(dueAtMs - startedAtMs));
    const bounds = { client, deadlines, clock, startedAtMs };
    const ticket = { tenant, priority: wishes.priority, deadlineMs: totalMs };
    const short = shortWay({ id: requestId, endpoint, engine, spec, body, asked, wishes });
    if (short) {
      underway.answer = null;
      // An answer that comes whole has its first token with its last.
      const firstTokenMs = asked.stream ? limits.firstTokenMs : totalMs;
      const request = { ...short.request, deadlineMs: totalMs, ticket };
      return await relayAttempt({ ...bounds, limits: { totalMs, firstTokenMs }, relay: short.relay, request });
    }
    const answer = this.answerOf(admitted, underway);
    underway.answer = answer;
    answer.start({ version: version.label, fingerprint: fingerprintOf(version) });
    return await attempt({
      ...bounds,
      limits: { totalMs, firstTokenMs: limits.firstTokenMs },
      engine,
      requests: asked.requests(requestId, spec).map((request) => ({ ...request, ticket })),
      choices: asked.choices,
      answer,
    });
  }

  private answerOf({ asked, wishes }: Admitted, { endpoint, requestId, assignedAt, client }: Underway): Answer {
    const { rng } = this.parts;
    const answerWishes: AnswerWishes = {
      format: asked.format ?? endpoint.format,
      head: { id: `${endpoint.idPrefix}-${requestId}`, createdS: Math.floor(assignedAt / 1000), model: asked.model },
      choices: asked.choices,
      logprobs: asked.logprobs,
      withUsage: asked.withUsage,
      uncertainty: wishes.uncertainty,
      newCallId: () => `call_${Buffer.from(rng.bytes(12)).toString('hex')}`,
    };
    return asked.stream ? new StreamedAnswer(client, answerWishes) : new WholeAnswer(client, answerWishes);
  }

  private conclude({ outcome, fault }: Attempt, { answer, client, endpoint, requestId }: Underway): void {
    if (outcome === 'ok' || client.left === 'gone') return;
    if (outcome === 'error' || outcome === 'timeout') {
      this.parts.log.warn({ requestId, code: fault?.code, reason: fault?.message }, 'a request failed');
    }
    const error =
      client.left === 'stopped'
        ? openAiError('shutting_down', 'This gateway is being stopped. Try again in a moment; another one answers.', { retryAfterS: 1 })
        : fault
          ? clientError(fault, endpoint.promptParam)
          : openAiError('internal_error', 'The gateway failed. Try again.');
    if (answer) answer.cut(error);
    else client.fail(error);
  }
}

/** A client that left has had the work of its prompt; a failure of ours before the first token costs nothing. */
function settle(entry: Entry, { outcome, usage, tokens }: Attempt, nowMs: number): void {
  if (usage) entry.settle(usage, nowMs);
  else if (tokens > 0 || outcome === 'clientGone') entry.settle({ inputTokens: null, outputTokens: tokens }, nowMs);
}
