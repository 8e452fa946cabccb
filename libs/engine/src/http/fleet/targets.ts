// Where the endpoints of a version live: every base URL judged like the first, none of them twice.
import { fail, type Outcome, ok } from '#libs/base';
import type { EngineFault } from '../../engine.js';
import { faultOf } from '../faults.js';
import { type Target, targetOf } from '../target.js';

export interface NamedTarget {
  readonly target: Target;
  /** Host and port, and the path where it is not `/v1/`. */
  readonly name: string;
  /** Of the spec. */
  readonly field: string;
}

export const mostEndpoints = 64;

/** 1 to 64. Faults: `engine.load-failed` naming the field. */
export function targetsOf(baseUrl: string, more: readonly string[]): Outcome<readonly NamedTarget[], EngineFault> {
  if (more.length >= mostEndpoints)
    return fail(faultOf('engine.load-failed', `a version has at most ${mostEndpoints} endpoints`, { field: 'spec.engine.endpoints' }));
  const targets: NamedTarget[] = [];
  for (const [index, url] of [baseUrl, ...more].entries()) {
    const field = index === 0 ? 'spec.engine.baseUrl' : `spec.engine.endpoints.${index - 1}`;
    const target = targetOf(url);
    if (!target.ok) return fail({ ...target.fault, field });
    const { origin, apiPath } = target.value;
    const name = `${origin.replace(/^https?:\/\//, '')}${apiPath === '/v1/' ? '' : apiPath}`;
    if (targets.some((one) => one.name === name)) {
      const remedy = 'Name each replica once; for more requests at once at one of them raise spec.engine.maxConcurrent.';
      return fail(faultOf('engine.load-failed', `the base URL is that of another endpoint (${name})`, { field, remedy }));
    }
    targets.push({ target: target.value, name, field });
  }
  return ok(targets);
}
