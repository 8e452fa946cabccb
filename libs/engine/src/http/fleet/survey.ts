// A version's endpoints when it is loaded: which answer, whether all of them serve its model, and what they can do, asked of one.
import { fail, type Outcome, ok } from '#libs/base';
import type { EngineFault } from '../../engine.js';
import { within } from '../bounded.js';
import { checkModel, type ProbeInput, probe } from '../probe.js';
import type { UpstreamFacts } from '../upstream-facts.js';

export interface Surveyed {
  readonly probe: Omit<ProbeInput, 'signal'>;
  /** Of the spec: what a fault names. */
  readonly field: string;
}

export type Bounds = Parameters<typeof within>[0];

/**
 * Whether each endpoint has the model, asked together. In their order: why one cannot be used now, or null. Fails for what is wrong with the
 * spec, which no waiting cures, and when none can be used.
 */
export async function checkEndpoints(
  endpoints: readonly Surveyed[],
  bounds: Bounds,
): Promise<Outcome<readonly (EngineFault | null)[], EngineFault>> {
  const faults = await Promise.all(
    endpoints.map(async ({ probe: input, field }) => {
      const checked = await within<null>(bounds, async (signal) => {
        const found = await checkModel({ ...input, signal });
        return 'fault' in found ? fail(found.fault) : ok(null);
      });
      return checked.ok ? null : located(checked.fault, field);
    }),
  );
  const wrong = faults.find((fault) => fault !== null && fault.retryable !== true);
  if (wrong) return fail(wrong);
  const [first] = faults;
  return first && faults.every((fault) => fault !== null) ? fail(first) : ok(faults);
}

/** The facts of the first endpoint that tells them, for replicas of one model are alike, and what keeps others from being used now. */
export async function surveyEndpoints(
  endpoints: readonly Surveyed[],
  { checkMs, probeMs, ...bounds }: Omit<Bounds, 'limitMs'> & { readonly checkMs: number; readonly probeMs: number },
): Promise<Outcome<{ readonly facts: UpstreamFacts; readonly troubles: readonly (string | null)[] }, EngineFault>> {
  // One alone is asked for its model by the way, with all the time that there is.
  const checked = endpoints.length === 1 ? ok([null]) : await checkEndpoints(endpoints, { ...bounds, limitMs: checkMs });
  if (!checked.ok) return checked;
  const troubles = checked.value.map((fault) => fault?.message ?? null);
  let failed: EngineFault | null = null;
  for (const [index, { probe: input, field }] of endpoints.entries()) {
    if (troubles[index] !== null) continue;
    const found = await within<UpstreamFacts>({ ...bounds, limitMs: probeMs }, async (signal) => {
      const model = await checkModel({ ...input, signal });
      return 'fault' in model ? fail(model.fault) : ok(await probe({ ...input, signal }, await model.identity()));
    });
    if (found.ok) return ok({ facts: found.value, troubles });
    failed ??= located(found.fault, field);
    if (found.fault.retryable !== true) break;
    troubles[index] = found.fault.message;
  }
  if (failed === null) throw new Error('a version has at least one endpoint');
  return fail(failed);
}

/** What is wrong with an address is said of the endpoint whose it is. */
function located(fault: EngineFault, field: string): EngineFault {
  return fault.field === 'spec.engine.baseUrl' ? { ...fault, field } : fault;
}
