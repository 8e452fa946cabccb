// Whose turn it is inside one class: deficit round robin over tenants, counted in tokens.
import { type Entry, TenantLine } from './tenant-line.js';

export interface TurnOptions {
  /** Tokens per round and unit of weight. */
  readonly quantumTokens: number;
  /** How often, and for how long, others may pass a head that does not fit. */
  readonly maxPasses: number;
  readonly maxPassMs: number;
}

/**
 * Deficit round robin (Shreedhar and Varghese, 1996): each round grants every waiting tenant quantum x weight tokens, what is not used up
 * stays while something waits. Two tenants that both keep waiting differ in served tokens per weight by less than a quantum and
 * the largest item per weight. A newcomer waits for one round at most. Rounds that would serve nobody are skipped in one stride, so a take costs O(tenants) at worst
 * whatever the size of the items, and O(1) in general.
 *
 * A head that does not fit now is held: other tenants may pass it `maxPasses` times, and for `maxPassMs` from the first time, then the class waits for it.
 * Nothing passes inside a tenant.
 */
export class FairTurns<T> {
  readonly lines = new Map<string, TenantLine<T>>();
  items = 0;
  tokens = 0;
  private readonly ring: TenantLine<T>[] = [];
  private turn = 0;
  /** The tenant whose turn it is has had its quantum. */
  private granted = false;
  /** Whose turn it was when it did not fit, and since when and how often others have passed it. */
  private held: { readonly entry: Entry<T>; sinceMs: number | null; passes: number } | null = null;

  constructor(private readonly options: TurnOptions) {}

  /** Something waits for room and may not be passed by a lower class. */
  get blocked(): boolean {
    return this.held !== null;
  }

  push(entry: Entry<T>, weight: number): void {
    let line = this.lines.get(entry.ask.tenant);
    if (!line) {
      line = new TenantLine(entry.ask.tenant, weight);
      this.lines.set(line.tenant, line);
      // Last of the round that is going on.
      this.ring.splice(this.turn, 0, line);
      if (this.ring.length > 1) this.turn += 1;
    }
    line.push(entry);
    this.items += 1;
    this.tokens += entry.tokens;
  }

  remove(entry: Entry<T>): void {
    const { line } = entry;
    if (!line) throw new Error(`item ${entry.ask.id} is not queued in this class`);
    line.remove(entry);
    this.items -= 1;
    this.tokens -= entry.tokens;
    if (this.held?.entry === entry) this.held = null;
    if (line.items > 0) return;
    this.lines.delete(line.tenant);
    const index = this.ring.indexOf(line);
    this.ring.splice(index, 1);
    if (index < this.turn) this.turn -= 1;
    else if (index === this.turn) this.granted = false;
    if (this.turn >= this.ring.length) this.turn = 0;
  }

  /** Removes and returns whose turn it is among those that fit; null when there is none or the one that waits for room may be passed no more. */
  take(nowMs: number, fits: (entry: Entry<T>) => boolean): Entry<T> | null {
    const entry = this.held?.entry ?? this.nextInTurn(nobody);
    if (!entry) return null;
    if (fits(entry)) return this.serve(entry);
    this.held ??= { entry, sinceMs: null, passes: 0 };
    const { sinceMs, passes } = this.held;
    if (passes >= this.options.maxPasses || (sinceMs !== null && nowMs - sinceMs >= this.options.maxPassMs)) return null;
    const other = this.passing(entry, fits);
    if (!other) return null;
    this.held.sinceMs ??= nowMs;
    this.held.passes += 1;
    return this.serve(other);
  }

  /** Who may go before the held one. A search in vain leaves no trace: a full engine asks at each of its steps, and no step may grant anything. */
  private passing(held: Entry<T>, fits: (entry: Entry<T>) => boolean): Entry<T> | null {
    const { turn, granted } = this;
    const deficits = this.ring.map((line) => line.deficit);
    const passed = new Set<TenantLine<T>>();
    for (let entry: Entry<T> | null = held; entry?.line; entry = this.nextInTurn(passed)) {
      if (entry !== held && fits(entry)) return entry;
      passed.add(entry.line);
    }
    this.turn = turn;
    this.granted = granted;
    this.ring.forEach((line, index) => {
      line.deficit = deficits[index] ?? 0;
    });
    return null;
  }

  private serve(entry: Entry<T>): Entry<T> {
    if (entry.line) entry.line.deficit -= entry.tokens;
    this.remove(entry);
    return entry;
  }

  /** The first that can pay, from the tenant whose turn it is on. */
  private nextInTurn(passed: ReadonlySet<TenantLine<T>>): Entry<T> | null {
    if (passed.size >= this.ring.length) return null;
    for (;;) {
      // One visit more than there are tenants: the first may have had its quantum already.
      for (let visits = 0; visits <= this.ring.length; visits += 1) {
        const line = this.ring[this.turn];
        if (line?.head && !passed.has(line)) {
          // Who can pay already gains nothing by waiting: credit stays below the next item and a quantum.
          if (!this.granted && line.deficit < line.head.tokens) line.deficit += this.options.quantumTokens * line.weight;
          this.granted = true;
          if (line.deficit >= line.head.tokens) return line.head;
        }
        this.turn = (this.turn + 1) % this.ring.length;
        this.granted = false;
      }
      this.skipRounds(passed);
    }
  }

  /** Grants at once the rounds in which nobody could pay, all but the last. */
  private skipRounds(passed: ReadonlySet<TenantLine<T>>): void {
    const waiting = this.ring.filter((line) => !passed.has(line));
    const roundsOf = (line: TenantLine<T>): number =>
      Math.ceil(((line.head?.tokens ?? 0) - line.deficit) / (this.options.quantumTokens * line.weight));
    const rounds = Math.min(...waiting.map(roundsOf)) - 1;
    if (rounds < 1) return;
    for (const line of waiting) line.deficit += rounds * this.options.quantumTokens * line.weight;
  }
}

const nobody: ReadonlySet<never> = new Set();
