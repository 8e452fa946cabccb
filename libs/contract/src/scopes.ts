// What an API key may do. A route names one scope; a key without it is refused.
import { z } from 'zod';

export const scope = z.enum([
  'inference:invoke',
  /** Pin a version with `x-serin-version`, and ask at evaluation priority. */
  'inference:pin',
  'models:read',
  'models:write',
  'rollouts:read',
  'rollouts:write',
  /** Pause, roll back, abort: less right than starting or promoting. */
  'rollouts:rollback',
  'evaluations:read',
  'evaluations:write',
  'settings:write',
  'keys:read',
  /** Make, limit and revoke keys, of no scope that the caller lacks. */
  'keys:write',
  'audit:read',
]);

export type Scope = z.infer<typeof scope>;

export const allScopes: readonly Scope[] = scope.options;
