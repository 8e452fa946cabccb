// Whether a routing table can be served by, wherever it comes from: a table that a gateway half understands is worse than the one before.
import { z } from 'zod';
import { fail, type Outcome, ok } from '#libs/base';
import type { RoutingTable } from '#libs/rollout';

// Loose: fields of a newer release pass through untouched.
export const routingTable = z.looseObject({
  incarnation: z.string().min(1),
  generation: z.int().min(0),
  routes: z.array(
    z.looseObject({
      model: z.string().min(1),
      stable: z.string().nullable(),
      rollout: z
        .looseObject({
          id: z.string(),
          candidate: z.string(),
          weight: z.number().min(0).max(1),
          epoch: z.int(),
          salt: z.string().regex(/^[0-9a-f]{1,64}$/),
          stickyBy: z.enum(['request', 'user']).optional(),
          shadow: z
            .looseObject({ share: z.number().gt(0).max(1), concurrentRequests: z.int().min(1), tokensPerSecond: z.number().gt(0) })
            .optional(),
          unfinishedAfterMs: z.number().gt(0).optional(),
          control: z.looseObject({ version: z.string(), weight: z.number().gt(0).max(1) }).optional(),
          quality: z.looseObject({ sampleStable: z.number().min(0).max(1), sampleCandidate: z.number().min(0).max(1) }).optional(),
        })
        .nullable(),
    }),
  ),
  versions: z.record(
    z.string(),
    z.looseObject({ id: z.string(), model: z.string(), label: z.string(), digest: z.string(), spec: z.unknown() }),
  ),
});

/** The table itself when each route is whole and names versions that are there. Fault `table.invalid` says what is wrong. */
export function checkTable(table: unknown): Outcome<RoutingTable> {
  const parsed = routingTable.safeParse(table);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return invalid(`${issue?.path.join('.') ?? 'it'}: ${issue?.message ?? 'unreadable'}`);
  }
  const { routes, versions } = parsed.data;
  const seen = new Set<string>();
  for (const { model, stable, rollout } of routes) {
    if (seen.has(model)) return invalid(`two routes of model "${model}"`);
    seen.add(model);
    for (const id of [stable, rollout?.candidate ?? null, rollout?.control?.version ?? null]) {
      if (id !== null && !Object.hasOwn(versions, id)) return invalid(`model "${model}" needs version ${id}, which is not in the table`);
    }
  }
  return ok(table as RoutingTable);
}

function invalid(what: string): Outcome<never> {
  return fail({ code: 'table.invalid', message: `The routing table is invalid: ${what}.`, remedy: 'The table before stays in use.' });
}
