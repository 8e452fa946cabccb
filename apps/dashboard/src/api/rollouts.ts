// Rollouts as queries: fetched once, kept fresh by the stream, fetched again now and then for the sentences that count seconds.
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { EvidenceResource, RolloutEventResource, RolloutResource } from '#libs/contract';
import { hasEnded } from '../words/names.js';
import { call } from './client.js';
import { newer } from './merge.js';

export type CommandKind = 'pause' | 'resume' | 'promote' | 'rollback' | 'abort';

export interface Page<T> {
  readonly items: T[];
  readonly nextCursor: string | null;
}

export const keys = {
  list: ['rollouts'] as const,
  one: (id: string) => ['rollout', id] as const,
  events: (id: string) => ['events', id] as const,
  evidence: (id: string) => ['evidence', id] as const,
};

const refreshMs = 4_000;
const mostEventPages = 10;

export function useRollouts() {
  return useInfiniteQuery({
    queryKey: keys.list,
    queryFn: async ({ pageParam, signal }) =>
      await call<Page<RolloutResource>>(`/rollouts?limit=50${pageParam ? `&cursor=${encodeURIComponent(pageParam)}` : ''}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
    refetchInterval: refreshMs,
  });
}

export function useRollout(id: string) {
  return useQuery({
    queryKey: keys.one(id),
    queryFn: async ({ signal }) => await call<RolloutResource>(`/rollouts/${encodeURIComponent(id)}`, { signal }),
    // An ended rollout still moves until every gateway serves by its end.
    refetchInterval: ({ state: { data } }) => (data && hasEnded(data.phase) && data.gateways.missing.length === 0 ? false : refreshMs),
  });
}

export function useEvents(id: string) {
  return useQuery({
    queryKey: keys.events(id),
    queryFn: async ({ signal }) => {
      const events: RolloutEventResource[] = [];
      let cursor: string | null = '0';
      for (let pages = 0; cursor !== null && pages < mostEventPages; pages += 1) {
        const page: Page<RolloutEventResource> = await call(`/rollouts/${encodeURIComponent(id)}/events?limit=500&cursor=${cursor}`, {
          signal,
        });
        events.push(...page.items);
        cursor = page.nextCursor;
      }
      return events;
    },
  });
}

export function useEvidence(id: string) {
  return useQuery({
    queryKey: keys.evidence(id),
    queryFn: async ({ signal }) => {
      const page = await call<Page<EvidenceResource>>(`/rollouts/${encodeURIComponent(id)}/evidence?limit=1000`, { signal });
      return page.items;
    },
  });
}

/** How far the gate is, in words, while it runs. 412 is how it tells pipelines "not passed". */
export function useGateProgress(id: string, running: boolean) {
  return useQuery({
    queryKey: ['gate', id],
    queryFn: async ({ signal }) => await call<{ note: string }>(`/gates/${encodeURIComponent(id)}`, { signal, answersWith: 412 }),
    enabled: running,
    refetchInterval: refreshMs,
  });
}

/**
 * A command with its reason. Resume and promote move traffic towards the candidate and insist on the state that the person saw; a rollback, an abort
 * and a pause must not be refused because the plan took a step meanwhile.
 */
export function useCommand(rollout: RolloutResource) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ kind, reason, requestId }: { kind: CommandKind; reason: string; requestId: string }) =>
      await call<RolloutResource>(`/rollouts/${rollout.id}/${kind}`, {
        method: 'POST',
        body: { reason },
        headers: {
          'idempotency-key': requestId,
          ...(kind === 'resume' || kind === 'promote' ? { 'if-match': `"${rollout.revision}"` } : {}),
        },
      }),
    onSuccess: async (answer) => {
      client.setQueryData<RolloutResource>(keys.one(rollout.id), (known) => newer(known, answer));
      await client.invalidateQueries({ queryKey: keys.events(rollout.id) });
    },
    onError: async () => await client.invalidateQueries({ queryKey: keys.one(rollout.id) }),
  });
}
