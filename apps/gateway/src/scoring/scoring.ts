// `POST /v1/score`: teacher-forced scores of given text, and their divergence from another version. Draws no coin, leaves no observation.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '#libs/base';
import type { Ticket } from '#libs/engine';
import { openAiError, parseScoreBody, type ScoreBody } from '#libs/openai';
import { missingScope } from '../completions/authorise.js';
import { type Checked, good, type Refused, refuse } from '../completions/checked.js';
import { clientGone } from '../completions/client-gone.js';
import type { Deadlines } from '../completions/deadlines.js';
import { fingerprintOf } from '../completions/fingerprint.js';
import { logprobNeeds, unmetNeed } from '../completions/needs.js';
import { type OneCall, oneCall } from '../completions/one-call.js';
import { placeOnOne, type ReadyVersion } from '../completions/placement.js';
import { readRequest } from '../completions/read-request.js';
import { readWishes } from '../completions/wishes.js';
import type { EnginePool } from '../engines/pool.js';
import type { Limits } from '../limits/limits.js';
import { sendError, sendJson } from '../relay/send.js';
import type { RoutingFeed } from '../routing/feed.js';
import { type Comparison, compareOn, mostPasses, rowsPerPass, type ScoreCall, scoredRows } from './compare.js';
import type { ExchangeFiles } from './exchange-file.js';
import { scoreAnswer } from './score-answer.js';
import { scorePlan } from './score-plan.js';

/** Each may hold an exchange file of 64 MB. */
const mostComparisons = 2;

export interface ScoringParts {
  readonly feed: RoutingFeed;
  readonly pool: EnginePool;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly files: ExchangeFiles;
}

/** A version that can score. */
type Scorer = ReadyVersion & { readonly score: ScoreCall };

export class Scoring {
  private comparing = 0;

  constructor(private readonly parts: ScoringParts) {}

  /** Resolves when the answer has left or the client has. */
  async handle(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const answer = await this.answer(request, response, requestId);
    if (answer.ok) sendJson(response, answer.value);
    else sendError(response, answer.error, !request.complete);
  }

  private async answer(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<Checked<string>> {
    const { feed, pool, deadlines, clock } = this.parts;
    const gone = clientGone(response);
    const read = await readRequest(request, feed.current, clock, { limits: this.parts.limits, response, usualOutputTokens: 0 });
    if (!read.ok) return read;
    const { key, tenant, snapshot } = read.value;
    const parsed = parseScoreBody(read.value.body.whole());
    if (!parsed.ok) return refuse(parsed.fault.error);
    const body = parsed.value;
    const wishes = readWishes(request, key, 'evaluation');
    if (!wishes.ok) return wishes;
    const own = scorerOf(placeOnOne({ snapshot, pool }, { model: body.model, pin: wishes.value.pin }), body, 'model');
    if (!own.ok) return own;
    const label = body.compare_to ?? null;
    if (label !== null && !key.scopes.includes('inference:pin')) return refuse(missingScope(key, 'inference:pin'));
    const other =
      label === null
        ? null
        : scorerOf(placeOnOne({ snapshot, pool }, { model: body.model, pin: label, param: 'compare_to' }), body, 'compare_to');
    if (other && !other.ok) return other;
    const mismatch = other ? vocabularyMismatch(own.value, other.value) : null;
    if (mismatch) return mismatch;

    response.setHeader('x-serin-version', own.value.version.label);
    const limits = deadlines.limits(wishes.value.timeoutMs, false);
    const ticket: Ticket = { tenant, priority: wishes.value.priority, deadlineMs: limits.totalMs };
    const call: OneCall = { deadlines, limits, gone, promptParam: 'input' };
    // Engines do not count what they score: the estimate stands.
    read.value.entry.settle({ inputTokens: null, outputTokens: 0 }, clock.monotonicMs());
    return await this.score(body, { requestId, ticket, call, own: own.value, other: other?.value ?? null });
  }

  private async score(
    body: ScoreBody,
    { requestId, ticket, call, own, other }: { requestId: string; ticket: Ticket; call: OneCall; own: Scorer; other: Scorer | null },
  ): Promise<Checked<string>> {
    const plan = scorePlan(body, own.spec);
    const scored = await oneCall(call, async (signal) => await own.score({ id: requestId, ...plan, ticket }, signal));
    if (!scored.ok) return scored;
    const compared = other ? await this.compare(body, { requestId, ticket, call, own, other }, scored.value) : null;
    if (compared && !compared.ok) return compared;
    return good(
      scoreAnswer({
        id: `score-${requestId}`,
        createdS: Math.floor(this.parts.clock.now() / 1000),
        model: body.model,
        version: own.version.label,
        fingerprint: fingerprintOf(own.version),
        sequences: compared?.value.sequences ?? scored.value,
        texts: plan.continuations.map((one) => (typeof one === 'string' ? one : null)),
        choosing: Boolean(body.continuations),
        comparison: other && compared ? { version: other.version.label, result: compared.value } : null,
      }),
    );
  }

  private async compare(
    body: ScoreBody,
    { requestId, ticket, call, own, other }: { requestId: string; ticket: Ticket; call: OneCall; own: Scorer; other: Scorer },
    scores: Awaited<ReturnType<ScoreCall>>,
  ): Promise<Checked<Comparison>> {
    const perPass = rowsPerPass(own.engine.capabilities().vocabularySize ?? other.engine.capabilities().vocabularySize);
    const rows = scoredRows(scores);
    if (rows > perPass * mostPasses) {
      const message = `'compare_to': ${rows} tokens are too many to compare at once, ${perPass * mostPasses} fit. Send the text in parts.`;
      return refuse(openAiError('invalid_value', message, { param: 'compare_to' }));
    }
    if (this.comparing >= mostComparisons) {
      const message = `${mostComparisons} comparisons run already. Try again in a moment.`;
      return refuse(openAiError('overloaded', message, { param: 'compare_to', retryAfterS: 1 }));
    }
    this.comparing += 1;
    try {
      // The same conversation as each version reads it: each under its own system prompt.
      const asked = (version: Scorer) => ({ id: requestId, ...scorePlan(body, version.spec), ticket });
      return await oneCall(call, async (signal) => {
        const reference: ScoreCall = async ({ exchange }, until) =>
          await other.score({ ...asked(other), ...(exchange ? { exchange } : {}) }, until);
        return await compareOn({ request: asked(own), scores, perPass }, { reference, own: own.score }, this.parts.files, signal);
      });
    } finally {
      this.comparing -= 1;
    }
  }
}

function scorerOf(placed: Checked<ReadyVersion>, body: ScoreBody, param: string): Checked<Scorer> {
  if (!placed.ok) return placed;
  const { engine, version } = placed.value;
  const capabilities = engine.capabilities();
  if (!engine.score || !capabilities.scoring) {
    const message = `'${param}': version "${version.label}" cannot score text. Name a version with an engine of its own.`;
    return refuse(openAiError('unsupported_parameter', message, { param }));
  }
  const top = body.top_logprobs;
  const error = typeof top === 'number' ? unmetNeed(logprobNeeds('top_logprobs', top), [capabilities]) : null;
  return error ? refuse(error) : good({ ...placed.value, score: engine.score.bind(engine) });
}

/** Token by token is only meaningful with the same tokens. */
function vocabularyMismatch(own: Scorer, other: Scorer): Refused | null {
  const [ours, theirs] = [own, other].map(({ engine }) => engine.capabilities().vocabularyHash ?? 'unknown');
  if (ours === theirs && ours !== 'unknown') return null;
  const message = `'compare_to': the vocabularies differ: "${own.version.label}" has ${ours}, "${other.version.label}" has ${theirs}. Score both and compare bits per byte.`;
  return refuse(openAiError('vocabulary_mismatch', message, { param: 'compare_to' }));
}
