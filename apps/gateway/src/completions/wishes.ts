// The headers by which a client steers a request past what OpenAI's body can say.
import type { IncomingMessage } from 'node:http';
import type { Priority } from '#libs/engine';
import { openAiError } from '#libs/openai';
import { isClassTag } from '../routing/prompt-class.js';
import type { KnownKey } from '../routing/snapshot.js';
import { missingScope } from './authorise.js';
import { type Checked, good, type Refused, refuse } from './checked.js';

const longestUnit = 256;
const longestTimeoutMs = 600_000;
const priorities: readonly Priority[] = ['live', 'evaluation', 'shadow'];

export interface Wishes {
  /** `x-serin-unit`: who keeps the same arm. */
  readonly unit: string | null;
  /** `x-serin-class`. */
  readonly promptClass: string | null;
  /** `x-serin-version`: no coin, no retry elsewhere, no observation. */
  readonly pin: string | null;
  /** `x-serin-priority`. */
  readonly priority: Priority;
  /** `x-serin-timeout-ms`. */
  readonly timeoutMs: number | null;
  /** `x-serin-uncertainty`. */
  readonly uncertainty: boolean;
  /** `x-serin-cache: use`. */
  readonly cache: boolean;
}

function header(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

function bad(name: string, what: string): Refused {
  return refuse(openAiError('invalid_value', `${name} ${what}.`, { param: name }));
}

/** `usual`: the endpoint's own priority. Another one than it and `live` is for keys that may pin: it takes a request out of the comparison. */
export function readWishes(request: IncomingMessage, key: KnownKey, usual: Priority): Checked<Wishes> {
  const unit = header(request, 'x-serin-unit');
  if (unit !== null && unit.length > longestUnit) return bad('x-serin-unit', `is longer than ${longestUnit} characters. Send an id`);
  const promptClass = header(request, 'x-serin-class');
  if (promptClass !== null && !isClassTag(promptClass)) {
    return bad('x-serin-class', 'must be at most 48 letters, digits, dots, dashes and underscores');
  }
  const asked = header(request, 'x-serin-priority') ?? usual;
  const priority = priorities.find((one) => one === asked);
  if (!priority) return bad('x-serin-priority', `must be one of ${priorities.join(', ')}`);
  const pin = header(request, 'x-serin-version');
  const privileged = pin !== null || (priority !== usual && priority !== 'live');
  if (privileged && !key.scopes.includes('inference:pin')) return refuse(missingScope(key, 'inference:pin'));
  const timeout = header(request, 'x-serin-timeout-ms');
  const timeoutMs = timeout === null ? null : /^\d{1,6}$/.test(timeout) ? Number(timeout) : 0;
  if (timeoutMs !== null && (timeoutMs < 1 || timeoutMs > longestTimeoutMs)) {
    return bad('x-serin-timeout-ms', `must be a whole number from 1 to ${longestTimeoutMs}`);
  }
  const uncertainty = header(request, 'x-serin-uncertainty') ?? '0';
  if (uncertainty !== '0' && uncertainty !== '1') return bad('x-serin-uncertainty', 'must be 1 or 0');
  const cache = header(request, 'x-serin-cache');
  if (cache !== null && cache !== 'use') return bad('x-serin-cache', 'must be use, or not be there');
  return good({ unit, promptClass, pin, priority, timeoutMs, uncertainty: uncertainty === '1', cache: cache !== null });
}
