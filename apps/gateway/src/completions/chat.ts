// `POST /v1/chat/completions`: admit, answer, and leave exactly one observation behind.
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
import { type Attempt, attempt, clientError } from './attempt.js';
import type { Deadlines } from './deadlines.js';
import { engineRequest } from './plan-request.js';

export interface ChatParts {
  readonly feed: RoutingFeed;
  readonly pool: EnginePool;
  readonly recorder: Recorder;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

const notLoaded: Attempt = {
  outcome: 'error',
  fault: { code: 'engine.not-loaded', message: 'the version has no engine on this gateway', retryable: true },
  finishReason: null,
  usage: null,
  queueWaitMs: null,
  ttftMs: null,
  interTokenMs: null,
  tokens: 0,
  entropyMeanNats: null,
  entropyMaxNats: null,
  nllMeanNats: null,
};

export class ChatCompletions {
  constructor(private readonly parts: ChatParts) {}

  /** Resolves when the answer has left or the client has. */
  async handle(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const { feed, pool, rng, clock } = this.parts;
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    const admission = await admit(request, { snapshot: feed.current, pool, rng, now: clock.now() });
    if (!admission.ok) {
      // What is left of a refused body is not worth reading.
      sendError(response, admission.error, !request.complete);
      return;
    }
    await this.serve(admission.value, response, requestId, gone.signal);
  }

  private async serve(admitted: Admitted, response: ServerResponse, requestId: string, gone: AbortSignal): Promise<void> {
    const { clock, pool } = this.parts;
    const { body, assignment } = admitted;
    const assignedAt = clock.now();
    const startedAtMs = clock.monotonicMs();
    const head = { id: `chatcmpl-${requestId}`, createdS: Math.floor(assignedAt / 1000), model: body.model };
    const answer = body.stream
      ? new StreamedAnswer(response, head, body.stream_options?.include_usage === true)
      : new WholeAnswer(response, head);
    if (assignment.rolloutId !== null) response.setHeader('x-serin-rollout', assignment.rolloutId);

    const first = await this.tryVersion(assignment.versionId, admitted, { response, answer, requestId, gone, startedAtMs });
    const candidate = assignment.arm === 'candidate' ? pool.find(assignment.versionId) : null;
    if (first.outcome === 'ok') candidate?.breaker.succeeded();
    else if (first.outcome === 'error' || first.outcome === 'timeout') candidate?.breaker.failed();
    this.observe(admitted, first, assignedAt, clock.monotonicMs() - startedAtMs);

    const elsewhere = first.outcome === 'ok' || gone.aborted || answer.begun ? null : this.secondChoice(admitted, first);
    if (elsewhere === null) {
      this.conclude(first, answer, requestId);
      return;
    }
    answer.reset();
    const second = await this.tryVersion(elsewhere, admitted, { response, answer, requestId, gone, startedAtMs: clock.monotonicMs() });
    this.parts.log.warn({ requestId, model: body.model, first: first.fault?.code, second: second.outcome }, 'a request was tried again');
    this.conclude(second, answer, requestId);
  }

  /** Where a failed request may be tried once more. Only before the first byte, so the client sees one whole answer. */
  private secondChoice({ assignment, route }: Admitted, first: Attempt): string | null {
    if (first.outcome === 'refused' || first.outcome === 'clientGone') return null;
    if (assignment.arm === 'candidate') return route.stable;
    // A crash of the process says nothing about the request: the same version answers it after its restart.
    return first.fault?.code === 'engine.crashed' ? assignment.versionId : null;
  }

  private async tryVersion(
    versionId: string,
    { body }: Admitted,
    given: { response: ServerResponse; answer: Answer; requestId: string; gone: AbortSignal; startedAtMs: number },
  ): Promise<Attempt> {
    const served: Served | null = this.parts.pool.find(versionId);
    const { response, ...rest } = given;
    if (!served?.engine) return notLoaded;
    if (!response.headersSent) response.setHeader('x-serin-version', served.version.label);
    return await attempt({
      ...rest,
      engine: served.engine,
      request: engineRequest(given.requestId, body, served.spec),
      deadlines: this.parts.deadlines,
      clock: this.parts.clock,
    });
  }

  private conclude(last: Attempt, answer: Answer, requestId: string): void {
    if (last.outcome === 'ok' || last.outcome === 'clientGone') return;
    const fault: EngineFault | null = last.fault;
    if (last.outcome === 'error' || last.outcome === 'timeout') {
      this.parts.log.warn({ requestId, code: fault?.code, reason: fault?.message }, 'a request failed');
    }
    answer.cut(fault ? clientError(fault) : openAiError('internal_error', 'The gateway failed. Try again.'));
  }

  /** Analysed as assigned: what a second try did stays out, or a failing candidate would be credited with stable's answers. */
  private observe({ body, assignment, unit, promptClass, pinned }: Admitted, first: Attempt, assignedAt: number, totalMs: number): void {
    if (pinned || first.outcome === 'refused') return;
    const observation: Observation = {
      model: body.model,
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
