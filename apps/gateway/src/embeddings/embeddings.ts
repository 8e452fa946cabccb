// `POST /v1/embeddings`. Stable answers unless a version is named: vectors of two versions are not comparable, so no coin is drawn.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '#libs/base';
import { embeddingBody, embeddingInputs, openAiError, parseEmbeddingBody } from '#libs/openai';
import { type Checked, good, refuse } from '../completions/checked.js';
import { clientGone } from '../completions/client-gone.js';
import type { Deadlines } from '../completions/deadlines.js';
import { oneCall } from '../completions/one-call.js';
import { placeOnOne } from '../completions/placement.js';
import { readRequest } from '../completions/read-request.js';
import { readWishes } from '../completions/wishes.js';
import type { EnginePool } from '../engines/pool.js';
import type { Limits } from '../limits/limits.js';
import { sendError, sendJson } from '../relay/send.js';
import type { RoutingFeed } from '../routing/feed.js';

export interface EmbeddingParts {
  readonly feed: RoutingFeed;
  readonly pool: EnginePool;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly clock: Clock;
}

export class EmbeddingsEndpoint {
  constructor(private readonly parts: EmbeddingParts) {}

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
    const parsed = parseEmbeddingBody(read.value.body.whole());
    if (!parsed.ok) return refuse(parsed.fault.error);
    const { model, input, encoding_format } = parsed.value;
    const wishes = readWishes(request, read.value.key, 'live');
    if (!wishes.ok) return wishes;
    const placed = placeOnOne({ snapshot: read.value.snapshot, pool }, { model, pin: wishes.value.pin });
    if (!placed.ok) return placed;
    const { engine, version } = placed.value;
    if (!engine.embed || !engine.capabilities().embeddings) {
      return refuse(
        openAiError('unsupported_parameter', `'model': "${model}" makes no embeddings. Ask another model.`, { param: 'model' }),
      );
    }
    response.setHeader('x-serin-version', version.label);
    const limits = deadlines.limits(wishes.value.timeoutMs, wishes.value.priority === 'live');
    const ticket = { tenant: read.value.tenant, priority: wishes.value.priority, deadlineMs: limits.totalMs };
    const embed = engine.embed.bind(engine);
    const inputs = embeddingInputs(input);
    const made = await oneCall({ deadlines, limits, gone, promptParam: 'input' }, async (signal) => {
      return await embed({ id: requestId, inputs, ticket }, signal);
    });
    if (!made.ok) return made;
    const { vectors, inputTokens } = made.value;
    read.value.entry.settle({ inputTokens, outputTokens: 0 }, clock.monotonicMs());
    return good(embeddingBody(model, vectors, { inputTokens, base64: encoding_format === 'base64' }));
  }
}
