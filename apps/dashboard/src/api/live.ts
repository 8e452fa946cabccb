// The one open stream of the page: lays its messages over the fetched data, says whether it is alive, and comes back by itself.
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import type { EvidenceResource, RolloutEventResource, RolloutResource } from '#libs/contract';
import { ApiError } from './client.js';
import { newer, withEvent, withEvidence, withRollout } from './merge.js';
import { keys, type Page } from './rollouts.js';
import { sessionKey } from './session.js';

/** `lost` since when, in milliseconds since the Unix epoch. */
export type LiveState = { readonly state: 'connecting' } | { readonly state: 'live' } | { readonly state: 'lost'; readonly since: number };

const firstWaitMs = 1_000;
const longestWaitMs = 15_000;

/** An EventSource that does not give up: the browser's own closes for good on any answer but 200, for example while the controller restarts. */
export class LiveStream {
  private current: LiveState = { state: 'connecting' };
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private unwatch: (() => void) | null = null;
  private waitMs = firstWaitMs;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly client: QueryClient) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): LiveState => this.current;

  open(): void {
    this.close();
    this.unwatch = this.watchQueries();
    const source = new EventSource('/api/v1/stream');
    this.source = source;
    source.onopen = () => this.opened();
    source.onerror = () => this.failed(source);
    source.addEventListener('rollout', (message) => this.take(JSON.parse(message.data) as RolloutResource));
    source.addEventListener('transition', (message) => this.takeEvent(JSON.parse(message.data) as RolloutEventResource));
    source.addEventListener('look', (message) => {
      const { rolloutId, evidence } = JSON.parse(message.data) as { rolloutId: string; evidence: EvidenceResource };
      this.takeEvidence(rolloutId, evidence);
    });
  }

  close(): void {
    this.unwatch?.();
    this.unwatch = null;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.source?.close();
    this.source = null;
  }

  /** A connection that died without a word (a laptop that slept, a cut line) stays open to EventSource; the fetches between notice it. */
  private watchQueries(): () => void {
    return this.client.getQueryCache().subscribe((event) => {
      if (event.type !== 'updated' || this.current.state !== 'live') return;
      const { action } = event;
      if (action.type !== 'failed' && action.type !== 'error') return;
      if (!(action.error instanceof ApiError) || action.error.problem.status !== 0) return;
      this.become({ state: 'lost', since: Date.now() });
      this.open();
    });
  }

  private opened(): void {
    const missed = this.current.state === 'lost';
    this.waitMs = firstWaitMs;
    this.become({ state: 'live' });
    // What happened in between came to nobody: ask for all of it.
    if (missed) void this.client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] });
  }

  private failed(source: EventSource): void {
    if (this.current.state !== 'lost') this.become({ state: 'lost', since: Date.now() });
    if (source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.timer = setTimeout(() => this.open(), this.waitMs);
    this.waitMs = Math.min(this.waitMs * 2, longestWaitMs);
    // The session may be what ended.
    void this.client.invalidateQueries({ queryKey: sessionKey });
  }

  private become(state: LiveState): void {
    this.current = state;
    for (const listener of this.listeners) listener();
  }

  private take(rollout: RolloutResource): void {
    this.client.setQueryData<RolloutResource>(keys.one(rollout.id), (known) => known && newer(known, rollout));
    this.client.setQueryData<InfiniteData<Page<RolloutResource>>>(keys.list, (known) => {
      if (!known) return known;
      const home = Math.max(
        0,
        known.pages.findIndex((page) => page.items.some(({ id }) => id === rollout.id)),
      );
      return {
        ...known,
        pages: known.pages.map((page, index) => (index === home ? { ...page, items: withRollout(page.items, rollout) } : page)),
      };
    });
  }

  private takeEvent(event: RolloutEventResource): void {
    this.client.setQueryData<RolloutEventResource[]>(keys.events(event.rolloutId), (known) => known && withEvent(known, event));
    if (event.evidence) this.takeEvidence(event.rolloutId, event.evidence);
  }

  private takeEvidence(id: string, evidence: EvidenceResource): void {
    this.client.setQueryData<EvidenceResource[]>(keys.evidence(id), (known) => known && withEvidence(known, evidence));
  }
}
