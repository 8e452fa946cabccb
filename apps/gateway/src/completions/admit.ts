// Everything that can be wrong with a chat request is found here, before any engine is asked: who, what, which version, as which unit.
import type { IncomingMessage } from 'node:http';
import type { Rng } from '#libs/base';
import { type ChatBody, type OpenAiError, openAiError, parseChatBody, parseJson, textOf } from '#libs/openai';
import type { Route } from '#libs/rollout';
import type { EnginePool, Served } from '../engines/pool.js';
import { type Assignment, assign } from '../routing/assign.js';
import { isClassTag, promptClassOf } from '../routing/prompt-class.js';
import type { Snapshot } from '../routing/snapshot.js';
import { routeOf, versionOf } from '../routing/table-index.js';
import { authorise, missingScope } from './authorise.js';
import { checkSupported } from './plan-request.js';
import { readBody } from './read-body.js';

const longestUnit = 256;

/** A request that may be served. */
export interface Admitted {
  readonly body: ChatBody;
  readonly assignment: Assignment;
  readonly route: Route;
  readonly unit: string;
  readonly promptClass: string;
  /** Asked for by `x-serin-version`: no coin, no retry elsewhere, no observation. */
  readonly pinned: boolean;
}

export type Admission = { readonly ok: true; readonly value: Admitted } | { readonly ok: false; readonly error: OpenAiError };

function refuse(error: OpenAiError): Admission {
  return { ok: false, error };
}

function header(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

export async function admit(
  request: IncomingMessage,
  { snapshot, pool, rng, now }: { snapshot: Snapshot | null; pool: EnginePool; rng: Rng; now: number },
): Promise<Admission> {
  const who = authorise(request, snapshot, now, 'inference:invoke');
  if ('error' in who || !snapshot) return refuse('error' in who ? who.error : openAiError('not_ready', 'No routing table yet.'));
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/(?:[\w.-]+\+)?json\b/i.test(type)) {
    return refuse(openAiError('unsupported_media_type', `The body is ${type.slice(0, 100)}; send application/json.`));
  }
  const text = await readBody(request);
  if (!text.ok) return refuse(text.fault.error);
  const json = parseJson(text.value);
  if (!json.ok) return refuse(json.fault.error);
  const parsed = parseChatBody(json.value);
  if (!parsed.ok) return refuse(parsed.fault.error);
  const body = parsed.value;

  const route = routeOf(snapshot.table, body.model);
  if (!route) {
    return refuse(openAiError('model_not_found', `There is no model "${body.model}". GET /v1/models lists them.`, { param: 'model' }));
  }
  const unit = header(request, 'x-serin-unit');
  if (unit !== null && unit.length > longestUnit) {
    return refuse(
      openAiError('invalid_value', `x-serin-unit is longer than ${longestUnit} characters. Send an id.`, { param: 'x-serin-unit' }),
    );
  }
  const tag = header(request, 'x-serin-class');
  if (tag !== null && !isClassTag(tag)) {
    return refuse(
      openAiError('invalid_value', 'x-serin-class must be at most 48 letters, digits, dots, dashes and underscores.', {
        param: 'x-serin-class',
      }),
    );
  }
  const pin = header(request, 'x-serin-version');
  if (pin !== null && !who.key.scopes.includes('inference:pin')) return refuse(missingScope(who.key, 'inference:pin'));
  const pinned = pin === null ? null : versionOf(snapshot.table, body.model, pin);
  if (pin !== null && !pinned) {
    return refuse(
      openAiError(
        'version_not_found',
        `Version "${pin}" of "${body.model}" is not loaded here. Pin one in service, in a rollout or under evaluation.`,
        {
          param: 'x-serin-version',
        },
      ),
    );
  }
  const supported = checkSupported(body, pinned ? isNative(pool.find(pinned.id)) : anyNative(route, pool));
  if (!supported.ok) return refuse(supported.fault.error);

  const shown = unit ?? Buffer.from(rng.bytes(16)).toString('hex');
  const assignment: Assignment | null = pinned
    ? { versionId: pinned.id, arm: null, rolloutId: null, epoch: null }
    : assign(route, shown, route.rollout !== null && pool.serves(route.rollout.candidate));
  if (!assignment) {
    return refuse(
      openAiError('model_not_ready', `Model "${body.model}" has no version in service yet.`, { param: 'model', retryAfterS: 5 }),
    );
  }
  const last = body.messages.findLast((message) => message.role === 'user') ?? body.messages.at(-1);
  const promptClass = tag ?? promptClassOf({ text: textOf(last?.content), wantsJson: (body.response_format?.type ?? 'text') !== 'text' });
  return { ok: true, value: { body, assignment, route, unit: shown, promptClass, pinned: pinned !== null } };
}

function isNative(served: Served | null): boolean {
  return served?.spec.engine.kind === 'llama';
}

function anyNative(route: Route, pool: EnginePool): boolean {
  return [route.stable, route.rollout?.candidate].some((id) => id !== null && id !== undefined && isNative(pool.find(id)));
}
