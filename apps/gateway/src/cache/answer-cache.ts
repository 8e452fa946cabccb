// The response cache as a request meets it: asked for by the client, per version, and out of the comparison of versions.
import type { Clock } from '#libs/base';
import type { Admitted } from '../completions/admit.js';
import type { Endpoint } from '../completions/endpoint.js';
import type { EnginePool } from '../engines/pool.js';
import { digestOf, isDeterministic } from './question.js';
import { Recording } from './recording.js';
import { type CacheCounts, type CacheSettings, ResponseCache, type StoredAnswer } from './response-cache.js';

export interface CacheFigures extends CacheCounts {
  readonly hits: number;
  readonly misses: number;
  /** Asked for in vain: the answer to such a request is not the only one. */
  readonly bypasses: number;
}

/** `bypass`: neither looked up nor kept. */
export type Lookup =
  | { readonly status: 'bypass' }
  | { readonly status: 'hit'; readonly answer: StoredAnswer }
  | {
      readonly status: 'miss';
      readonly recording: Recording;
      /**
       * One of the two arms has an answer. Then this request is not compared, whichever arm it met: a warm stable would be observed by new
       * prompts alone and a cold candidate by all. Whether it is known was settled before the coin of this request fell.
       */
      readonly known: boolean;
      /** The recorded answer is whole. */
      keep(): void;
    };

const bypass: Lookup = { status: 'bypass' };

export class AnswerCache {
  private readonly cache: ResponseCache | null;
  private readonly counts = { hits: 0, misses: 0, bypasses: 0 };

  /** `settings` null: off, whatever clients ask for. */
  constructor(
    settings: CacheSettings | null,
    private readonly parts: { readonly pool: EnginePool; readonly clock: Clock },
  ) {
    this.cache = settings && new ResponseCache(settings, parts.clock);
  }

  /** After the version was chosen, never before. Null: the client did not ask for it. */
  look(endpoint: Endpoint, { wishes, tenant, body, assignment, route }: Admitted): Lookup | null {
    if (!wishes.cache) return null;
    const { cache, counts } = this;
    const { pool } = this.parts;
    const served = pool.find(assignment.versionId);
    if (cache === null || !served || !isDeterministic(body, served.spec)) {
      counts.bypasses += 1;
      return bypass;
    }
    const question = digestOf({ endpoint: endpoint.idPrefix, tenant, uncertainty: wishes.uncertainty, body });
    const keyOf = (digest: string): string => `${digest} ${question}`;
    const key = keyOf(served.version.digest);
    const arms = [route.stable, route.rollout?.candidate ?? null];
    const known = arms.some((id) => {
      const arm = id === null ? null : pool.find(id);
      return arm !== null && cache.has(keyOf(arm.version.digest));
    });
    const answer = cache.get(key);
    if (answer) {
      counts.hits += 1;
      return { status: 'hit', answer };
    }
    counts.misses += 1;
    const recording = new Recording();
    const keep = (): void => {
      const whole = recording.answer();
      if (whole) cache.put(key, whole);
    };
    return { status: 'miss', recording, known, keep };
  }

  /** Null when it is off. */
  figures(): CacheFigures | null {
    return this.cache && { ...this.cache.read(), ...this.counts };
  }
}
