// Whether a candidate keeps its users waiting while stable does not: what a gateway can tell by itself, without a controller.

/** Of both arms, by assignment time; some half a minute of them is remembered. */
const bucketMs = 250;
const bucketCount = 128;
/** A look waits so long after a request was found slow, that all of its bucket have been looked at too. The timer of requests is up to 100 ms late. */
export const lookAfterMs = 400;
const lateMs = 150;

/** The newest candidate requests that are looked at, and how many of them must be slow. */
export const judgedRequests = 20;
const slowRequests = 16;
/** Of stable, over the same time: fewer say nothing, and where more than this share is slow too the cause is shared. */
const fewestStable = 10;
const mostStableSlow = 0.1;

/** Slow is four times what nine of ten of stable's requests need, and never under a second. */
const slowness = 4;
const leastSlowMs = 1_000;
const rememberedTimes = 64;
const fewestTimes = 16;

interface Bucket {
  /** Which bucket of time it is: since the clock's beginning. */
  nth: number;
  begun: number;
  slow: number;
}

class Arrivals {
  private readonly buckets: Bucket[] = Array.from({ length: bucketCount }, () => ({ nth: -1, begun: 0, slow: 0 }));

  add(atMs: number, what: 'begun' | 'slow'): void {
    const nth = Math.floor(atMs / bucketMs);
    const bucket = this.buckets[nth % bucketCount] as Bucket;
    if (bucket.nth > nth) return;
    if (bucket.nth < nth) {
      bucket.nth = nth;
      bucket.begun = 0;
      bucket.slow = 0;
    }
    bucket[what] += 1;
  }

  /** Of the buckets from `from` to `to`, both counted by number; going back, until `enough` have begun. */
  read(from: number, to: number, enough: number): { readonly begun: number; readonly slow: number; readonly from: number } {
    let begun = 0;
    let slow = 0;
    let nth = to;
    for (const oldest = Math.max(from, to - bucketCount + 1); nth >= oldest && begun < enough; nth -= 1) {
      const bucket = this.buckets[nth % bucketCount] as Bucket;
      if (bucket.nth !== nth) continue;
      begun += bucket.begun;
      slow += bucket.slow;
    }
    return { begun, slow, from: nth + 1 };
  }
}

/** Requests of one way to answer: streams by their first byte, whole answers by their end. */
class Way {
  private readonly arms = { candidate: new Arrivals(), stable: new Arrivals() };
  private readonly times = new Float64Array(rememberedTimes);
  private known = 0;
  private limit: number | null = null;

  /** Null: too little is known of stable. */
  get slowMs(): number | null {
    return this.limit;
  }

  begun(arm: 'candidate' | 'stable', atMs: number): void {
    this.arms[arm].add(atMs, 'begun');
  }

  slow(arm: 'candidate' | 'stable', atMs: number): void {
    this.arms[arm].add(atMs, 'slow');
  }

  took(ms: number): void {
    this.times[this.known % rememberedTimes] = ms;
    this.known += 1;
    if (this.known < fewestTimes || this.known % fewestTimes !== 0) return;
    const sorted = this.times.slice(0, Math.min(this.known, rememberedTimes)).sort();
    this.limit = Math.max(leastSlowMs, slowness * (sorted[Math.floor(sorted.length * 0.9)] as number));
  }

  /** Of requests that are as old as a slow one must be. */
  candidateAlone(slowMs: number, nowMs: number): boolean {
    const settled = Math.floor((nowMs - slowMs - lateMs) / bucketMs) - 1;
    const candidate = this.arms.candidate.read(0, settled, judgedRequests);
    if (candidate.begun < judgedRequests || candidate.slow < (slowRequests / judgedRequests) * candidate.begun) return false;
    const stable = this.arms.stable.read(candidate.from, settled, Number.POSITIVE_INFINITY);
    return stable.begun >= fewestStable && stable.slow <= mostStableSlow * stable.begun;
  }
}

/**
 * Of one candidature on one gateway. A request is slow when its client has not seen a byte at an age that is the same for both arms: four times the
 * P90 of stable's last times, at least a second. Of the newest 20 candidate requests of that age 16 are slow, and of stable's of the same seconds
 * at most a tenth: then the candidate is. A slowness that both share says nothing. Cost per request: two additions. Times on the monotonic clock.
 */
export class FirstTokens {
  private readonly streams = new Way();
  private readonly wholes = new Way();

  /** A request of an arm was sent to its version: the age at which it is slow, milliseconds; null while too little is known of stable. */
  begun(arm: 'candidate' | 'stable', stream: boolean, atMs: number): number | null {
    const way = stream ? this.streams : this.wholes;
    const { slowMs } = way;
    // Only those that can be found slow count.
    if (slowMs !== null) way.begun(arm, atMs);
    return slowMs;
  }

  /** It is that old, and its client has seen nothing. */
  slow(arm: 'candidate' | 'stable', stream: boolean, begunAtMs: number): void {
    (stream ? this.streams : this.wholes).slow(arm, begunAtMs);
  }

  /** Stable has answered: after so many milliseconds its first token was there, of an answer that comes whole all of it. */
  stableTook(stream: boolean, ms: number): void {
    (stream ? this.streams : this.wholes).took(ms);
  }

  /** Whether the candidate alone is slow. `slowMs`: as `begun` said of the request that was found so, `lookAfterMs` ago. */
  candidateAlone(stream: boolean, slowMs: number, nowMs: number): boolean {
    return (stream ? this.streams : this.wholes).candidateAlone(slowMs, nowMs);
  }
}
