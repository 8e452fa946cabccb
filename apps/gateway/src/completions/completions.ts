// A generating request from end to end: admit, answer, and leave exactly one observation behind, whatever the number of answers.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Observation } from '#libs/analysis';
import type { Clock, Rng } from '#libs/base';
import type { EngineFault } from '#libs/engine';
import { openAiError } from '#libs/openai';
import type { Log } from '#libs/telemetry';
import type { EnginePool, Served } from '../engines/pool.js';
import type { Recorder } from '../observe/recorder.js';
import type { RoutingFeed } from '../routing/feed.js';
import { type Admitted, admit } from './admit.js';
import { type Answer, StreamedAnswer, sendError, WholeAnswer } from './answer.js';
import { type Attempt, attempt } from './attempt.js';
import { clientError } from './client-error.js';
import { clientGone } from './client-gone.js';
import type { Deadlines, Limits } from './deadlines.js';
import type { Endpoint } from './endpoint.js';
import { fingerprintOf } from './fingerprint.js';
import { nothingMeasured } from './measurement.js';

export interface CompletionParts {
  readonly feed: RoutingFeed;
  readonly pool: EnginePool;
  readonly recorder: Recorder;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

const notLoaded: Attempt = {
  ...nothingMeasured,
  outcome: 'error',
  fault: { code: 'engine.not-loaded', message: 'the version has no engine on this gateway', retryable: true },
  usage: null,
  queueWaitMs: null,
};

/** A request on its way, whatever version is tried. */
interface Underway {
  readonly endpoint: Endpoint;
  readonly response: ServerResponse;
  readonly answer: Answer;
  readonly requestId: string;
  readonly gone: AbortSignal;
  readonly limits: Limits;
  /** When all of it must be over, on the monotonic clock. */
  readonly dueAtMs: number;
}

export class Completions {
  constructor(private readonly parts: CompletionParts) {}

  /** Resolves when the answer has left or the client has. */
  async handle(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const { feed, pool, rng, clock } = this.parts;
    const gone = clientGone(response);
    const admission = await admit(request, endpoint, { snapshot: feed.current, pool, rng, now: clock.now() });
    if (!admission.ok) {
      // What is left of a refused body is not worth reading.
      sendError(response, admission.error, !request.complete);
      return;
    }
    await this.serve(endpoint, admission.value, { response, requestId, gone });
  }

  private async serve(
    endpoint: Endpoint,
    admitted: Admitted,
    { response, requestId, gone }: Pick<Underway, 'response' | 'requestId' | 'gone'>,
  ): Promise<void> {
    const { clock, pool, deadlines, rng } = this.parts;
    const { asked, assignment, wishes } = admitted;
    const assignedAt = clock.now();
    const startedAtMs = clock.monotonicMs();
    const answerWishes = {
      format: asked.format ?? endpoint.format,
      head: { id: `${endpoint.idPrefix}-${requestId}`, createdS: Math.floor(assignedAt / 1000), model: asked.model },
      choices: asked.choices,
      logprobs: asked.logprobs,
      withUsage: asked.withUsage,
      uncertainty: wishes.uncertainty,
      newCallId: () => `call_${Buffer.from(rng.bytes(12)).toString('hex')}`,
    };
    const answer = asked.stream ? new StreamedAnswer(response, answerWishes) : new WholeAnswer(response, answerWishes);
    const limits = deadlines.limits(wishes.timeoutMs, wishes.priority === 'live');
    const underway: Underway = { endpoint, response, answer, requestId, gone, limits, dueAtMs: startedAtMs + limits.totalMs };
    if (assignment.rolloutId !== null) response.setHeader('x-serin-rollout', assignment.rolloutId);

    const first = await this.tryVersion(assignment.versionId, admitted, underway);
    const candidate = assignment.arm === 'candidate' ? pool.find(assignment.versionId) : null;
    if (first.outcome === 'ok') candidate?.breaker.succeeded();
    else if (first.outcome === 'error' || first.outcome === 'timeout') candidate?.breaker.failed();
    this.observe(admitted, first, assignedAt, clock.monotonicMs() - startedAtMs);

    const elsewhere = first.outcome === 'ok' || gone.aborted || answer.begun ? null : this.secondChoice(admitted, first);
    if (elsewhere === null || clock.monotonicMs() >= underway.dueAtMs) {
      this.conclude(first, underway);
      return;
    }
    const second = await this.tryVersion(elsewhere, admitted, underway);
    this.parts.log.warn({ requestId, model: asked.model, first: first.fault?.code, second: second.outcome }, 'a request was tried again');
    this.conclude(second, underway);
  }

  /** Where a failed request may be tried once more. Only before the first byte, so the client sees one whole answer. */
  private secondChoice({ assignment, route }: Admitted, first: Attempt): string | null {
    if (first.outcome === 'refused' || first.outcome === 'clientGone') return null;
    if (assignment.arm === 'candidate') return route.stable;
    // A crash of the process says nothing about the request: the same version answers it after its restart.
    return first.fault?.code === 'engine.crashed' ? assignment.versionId : null;
  }

  private async tryVersion(versionId: string, { asked, tenant, wishes }: Admitted, underway: Underway): Promise<Attempt> {
    const { clock, deadlines, pool } = this.parts;
    const { answer, response, requestId, gone, limits, dueAtMs } = underway;
    const served: Served | null = pool.find(versionId);
    if (!served?.engine) return notLoaded;
    if (!response.headersSent) response.setHeader('x-serin-version', served.version.label);
    answer.start({ version: served.version.label, fingerprint: fingerprintOf(served.version) });
    const startedAtMs = clock.monotonicMs();
    const totalMs = Math.max(1, Math.ceil(dueAtMs - startedAtMs));
    const ticket = { tenant, priority: wishes.priority, deadlineMs: totalMs };
    return await attempt({
      engine: served.engine,
      requests: asked.requests(requestId, served.spec).map((request) => ({ ...request, ticket })),
      choices: asked.choices,
      answer,
      deadlines,
      limits: { ...limits, totalMs },
      gone,
      clock,
      startedAtMs,
    });
  }

  private conclude(last: Attempt, { answer, endpoint, requestId }: Underway): void {
    if (last.outcome === 'ok' || last.outcome === 'clientGone') return;
    const fault: EngineFault | null = last.fault;
    if (last.outcome === 'error' || last.outcome === 'timeout') {
      this.parts.log.warn({ requestId, code: fault?.code, reason: fault?.message }, 'a request failed');
    }
    answer.cut(fault ? clientError(fault, endpoint.promptParam) : openAiError('internal_error', 'The gateway failed. Try again.'));
  }

  /** Analysed as assigned: what a second try did stays out, or a failing candidate would be credited with stable's answers. */
  private observe({ asked, wishes, ...rest }: Admitted, first: Attempt, assignedAt: number, totalMs: number): void {
    const { assignment, unit, promptClass, pinned } = rest;
    // Who waits behind users on purpose says nothing about what users get.
    if (pinned || wishes.priority !== 'live' || first.outcome === 'refused') return;
    const observation: Observation = {
      model: asked.model,
      versionId: assignment.versionId,
      rolloutId: assignment.rolloutId,
      epoch: assignment.epoch,
      arm: assignment.arm,
      promptClass,
      unit,
      assignedAt,
      outcome: first.outcome,
      finishReason: first.finishReason,
      queueWaitMs: first.queueWaitMs,
      ttftMs: first.ttftMs,
      interTokenMs: first.interTokenMs,
      totalMs,
      inputTokens: first.usage?.inputTokens ?? 0,
      outputTokens: first.usage?.outputTokens ?? first.tokens,
      entropyMeanNats: first.entropyMeanNats,
      entropyMaxNats: first.entropyMaxNats,
      nllMeanNats: first.nllMeanNats,
    };
    this.parts.recorder.add(observation);
  }
}
