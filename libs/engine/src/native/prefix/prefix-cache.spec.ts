// Prefixes are exact, cells never run out under a running sequence, and nothing is left behind.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefixCache, type PrefixPlan } from './prefix-cache.js';

const text = (from: number, length: number): number[] => Array.from({ length }, (_, index) => from + index);

/** Runs a prompt to its end and leaves it idle. */
function serve(cache: PrefixCache, prompt: number[], output: number[] = []): PrefixPlan {
  const plan = cache.plan(prompt, output.length);
  if (!plan) throw new Error('does not fit');
  cache.begin(plan);
  cache.append(plan.slot, prompt.slice(plan.cachedTokens));
  cache.append(plan.slot, output);
  cache.end(plan.slot, true);
  return plan;
}

describe('the prefix cache', () => {
  it('continues a conversation in the slot that holds it, and evaluates only what is new', () => {
    const cache = new PrefixCache({ slots: 4, cells: 10_000 });
    const first = serve(cache, text(0, 100), text(500, 20));
    const second = cache.plan([...text(0, 100), ...text(500, 20), ...text(900, 50)], 20);
    expect(second).toMatchObject({ slot: first.slot, keepTokens: 120, copyFrom: null, evict: [] });
  });

  it('evaluates the last prompt token again, for its logits', () => {
    const cache = new PrefixCache({ slots: 2, cells: 1000 });
    serve(cache, text(0, 100));
    expect(cache.plan(text(0, 100), 10)?.cachedTokens).toBe(99);
    expect(cache.plan(text(0, 1), 10)?.cachedTokens).toBe(0);
  });

  it('shares the prompt of a sequence that still runs', () => {
    const cache = new PrefixCache({ slots: 4, cells: 1000 });
    const running = cache.plan(text(0, 300), 100);
    if (!running) throw new Error('does not fit');
    cache.begin(running);
    cache.append(running.slot, text(0, 200));
    const plan = cache.plan([...text(0, 250), 7], 50);
    expect(plan).toMatchObject({ keepTokens: 0, copyFrom: { slot: running.slot, tokens: 200 }, cachedTokens: 200 });
    if (plan) cache.begin(plan);
    expect(cache.cellsUsed).toBe(200);
  });

  it('copies a short common beginning instead of destroying the long history behind it', () => {
    const cache = new PrefixCache({ slots: 2, cells: 10_000 });
    const history = serve(cache, text(0, 1000));
    const plan = cache.plan([...text(0, 100), ...text(5000, 50)], 10);
    expect(plan?.slot).not.toBe(history.slot);
    expect(plan?.copyFrom).toEqual({ slot: history.slot, tokens: 100 });
    expect(plan?.evict).toEqual([]);
  });

  it('gives up the history that was used least recently when no slot is empty', () => {
    const cache = new PrefixCache({ slots: 3, cells: 10_000 });
    const [a, b, c] = [0, 2000, 4000].map((start) => serve(cache, text(start, 500)).slot);
    serve(cache, text(0, 501));
    expect(cache.plan(text(9000, 10), 10)).toMatchObject({ slot: b, keepTokens: 0, copyFrom: null });
    // The common beginning of the newest history goes to the oldest slot.
    expect(cache.plan([...text(0, 100), 3], 10)).toMatchObject({ slot: b, copyFrom: { slot: a, tokens: 100 } });
    expect(c).not.toBe(b);
  });

  it('evicts idle histories, oldest first, until the most that a request may need has room', () => {
    const cache = new PrefixCache({ slots: 8, cells: 1000 });
    const slots = [0, 2000, 4000].map((start) => serve(cache, text(start, 300)).slot);
    expect(cache.plan(text(9000, 50), 50)?.evict).toEqual([]);
    expect(cache.plan(text(9000, 100), 100)?.evict).toEqual([slots[0]]);
    expect(cache.plan(text(9000, 100), 400)?.evict).toEqual([slots[0], slots[1]]);
    expect(() => cache.plan(text(9000, 1001), 1)).toThrow('a prompt of 1001 tokens');
  });

  it('says that nothing fits while running sequences may still need the cells', () => {
    const cache = new PrefixCache({ slots: 4, cells: 1000 });
    const plan = cache.plan(text(0, 100), 600);
    if (!plan) throw new Error('does not fit');
    cache.begin(plan);
    expect(cache.fits(300)).toBe(true);
    expect(cache.fits(301)).toBe(false);
    expect(cache.plan(text(5000, 100), 201)).toBeNull();
    cache.end(plan.slot, false);
    expect(cache.fits(1000)).toBe(true);
  });

  it('counts the cells that slots share once, until the last of them leaves', () => {
    const cache = new PrefixCache({ slots: 4, cells: 10_000 });
    const first = serve(cache, text(0, 1000)).slot;
    const second = serve(cache, [...text(0, 400), ...text(5000, 100)]).slot;
    expect(cache.cellsUsed).toBe(1100);
    cache.drop(first);
    expect(cache.cellsUsed).toBe(500);
    cache.drop(second);
    expect(cache.cellsUsed).toBe(0);
  });

  it('evaluates the prompt of several choices once and reserves the outputs of all', () => {
    const cache = new PrefixCache({ slots: 4, cells: 1000 });
    expect(cache.plan(text(0, 100), 226, 4)).toBeNull();
    const plan = cache.plan(text(0, 100), 225, 4);
    if (!plan) throw new Error('does not fit');
    cache.begin(plan);
    expect(cache.fits(1)).toBe(false);
    cache.append(plan.slot, text(0, 100));
    for (const sibling of plan.siblings) cache.adopt(sibling, plan.slot);
    expect(cache.cellsUsed).toBe(100);
    for (const slot of [plan.slot, ...plan.siblings]) cache.append(slot, text(slot * 1000, 225));
    expect(cache.cellsUsed).toBe(1000);
    expect(() => cache.append(plan.slot, [1])).toThrow('cells left');
  });

  it('reports what share of the prompts was there already', () => {
    const cache = new PrefixCache({ slots: 2, cells: 1000 });
    serve(cache, text(0, 100));
    serve(cache, text(0, 150));
    expect([cache.promptTokens, cache.cachedTokens]).toEqual([250, 100]);
  });

  it('uses a recurrent state whole or not at all', () => {
    const cache = new PrefixCache({ slots: 2, cells: 1000, reuse: 'whole' });
    const { slot } = serve(cache, text(0, 100));
    expect(cache.plan(text(0, 150), 1)).toMatchObject({ slot, keepTokens: 100 });
    expect(cache.plan(text(0, 100), 1)?.cachedTokens).toBe(0);
    expect(cache.plan([...text(0, 80), 1, 2], 1)?.cachedTokens).toBe(0);
  });

  it('never copies where sequences cannot share cells', () => {
    const cache = new PrefixCache({ slots: 2, cells: 2000, share: false });
    const { slot } = serve(cache, text(0, 900));
    expect(cache.plan([...text(0, 100), 1], 1)).toMatchObject({ slot, keepTokens: 100, copyFrom: null });
    expect(cache.plan(text(0, 800), 100, 2)?.siblings).toHaveLength(1);
    expect(cache.plan(text(0, 900), 101, 2)).toBeNull();
  });

  it('refuses a plan that others have overtaken', () => {
    const cache = new PrefixCache({ slots: 2, cells: 1000 });
    const plan = cache.plan(text(0, 10), 10);
    serve(cache, text(50, 10));
    if (plan) expect(() => cache.begin(plan)).toThrow('plan again');
    expect(() => cache.drop(serve(cache, text(60, 10)).slot)).not.toThrow();
  });

  it('agrees with a naive model of cells through thousands of beginnings, cancellations and ends', () => {
    const step = fc.record({
      act: fc.constantFrom('begin', 'begin', 'append', 'append', 'end', 'cancel', 'drop'),
      pick: fc.nat(63),
      // Few roots and branches: long common prefixes are the rule.
      root: fc.nat(2),
      branch: fc.array(fc.nat(1), { maxLength: 5 }),
      extra: fc.nat(40),
      output: fc.nat(60),
      choices: fc.constantFrom(1, 1, 1, 3),
    });
    const options = fc.record({ slots: fc.integer({ min: 1, max: 8 }), cells: fc.integer({ min: 120, max: 900 }), share: fc.boolean() });
    fc.assert(
      fc.property(options, fc.array(step, { minLength: 100, maxLength: 200 }), (option, steps) => {
        const cache = new PrefixCache({ ...option, contextSize: 300 });
        const model = new NaiveCells(option.slots);
        for (const { act, pick, root, branch, extra, output, choices } of steps) {
          const running = [...model.running];
          const slot = running[pick % Math.max(1, running.length)];
          const held = slot === undefined ? undefined : model.left.get(slot);
          if (act === 'begin') {
            const prompt = [root, ...branch.flatMap((bit) => text(bit * 1000 + root * 10_000, 35)), ...text(90_000 + pick * 100, extra)];
            const fits = cache.fits(prompt.length + output, 1);
            const plan = cache.plan(prompt, output, choices);
            if (choices === 1 && fits) expect(plan).not.toBeNull();
            if (!plan) continue;
            model.check(plan, prompt);
            cache.begin(plan);
            model.begin(plan, prompt, output);
            if (choices > 1) {
              cache.append(plan.slot, prompt.slice(plan.cachedTokens));
              model.append(plan.slot, prompt.length - plan.cachedTokens);
              for (const sibling of plan.siblings) {
                if (option.share) cache.adopt(sibling, plan.slot);
                else cache.append(sibling, prompt);
                model.adopt(sibling, plan.slot, option.share);
              }
            }
          } else if (slot !== undefined && held && act === 'append') {
            const tokens = held.slice(0, 1 + (extra % 30));
            cache.append(slot, tokens);
            model.append(slot, tokens.length);
          } else if (slot !== undefined && (act === 'end' || act === 'cancel')) {
            cache.end(slot, act === 'end');
            model.end(slot, act === 'end');
          } else if (act === 'drop') {
            const idle = pick % option.slots;
            if (model.running.has(idle)) expect(() => cache.drop(idle)).toThrow('runs');
            else {
              cache.drop(idle);
              model.drop(idle);
            }
          }
          expect(cache.cellsUsed).toBe(model.used);
          expect(cache.cellsUsed).toBeLessThanOrEqual(option.cells);
          expect(cache.cellsReserved).toBeLessThanOrEqual(option.cells);
          expect(cache.count('running')).toBe(model.running.size);
        }
        for (const slot of model.running) cache.end(slot, true);
        expect(cache.count('running')).toBe(0);
        for (let slot = 0; slot < option.slots; slot += 1) cache.drop(slot);
        expect(cache.cellsUsed).toBe(0);
        expect(cache.cellsReserved).toBe(0);
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

/** Every cell is an object; a slot is a list of them with their tokens. */
class NaiveCells {
  readonly running = new Set<number>();
  /** Tokens that each running slot will still append. */
  readonly left = new Map<number, number[]>();
  private readonly held: { cell: object; token: number }[][];
  private next = 1_000_000;

  constructor(slots: number) {
    this.held = Array.from({ length: slots }, () => []);
  }

  get used(): number {
    return new Set(this.held.flatMap((cells) => cells.map(({ cell }) => cell))).size;
  }

  check(plan: PrefixPlan, prompt: number[]): void {
    const source = this.held[plan.copyFrom?.slot ?? plan.slot] ?? [];
    const differs = source.findIndex(({ token }, index) => token !== prompt[index]);
    const common = Math.min(differs < 0 ? source.length : differs, prompt.length - 1);
    // Zero when the prefix was too short to be worth anything.
    if (plan.cachedTokens > 0) expect(plan.cachedTokens).toBe(common);
    expect(plan.cachedTokens).toBe(plan.copyFrom?.tokens ?? plan.keepTokens);
    for (const slot of [plan.slot, ...plan.siblings, ...plan.evict]) expect(this.running.has(slot)).toBe(false);
    expect(new Set([plan.slot, ...plan.siblings]).size).toBe(1 + plan.siblings.length);
  }

  begin(plan: PrefixPlan, prompt: number[], output: number): void {
    const source = this.held[plan.copyFrom?.slot ?? plan.slot] ?? [];
    this.held[plan.slot] = source.slice(0, plan.cachedTokens);
    for (const slot of plan.evict) this.held[slot] = [];
    for (const slot of [plan.slot, ...plan.siblings]) this.running.add(slot);
    this.left.set(plan.slot, [...prompt.slice(plan.cachedTokens), ...this.fresh(plan.outputTokens)]);
    for (const slot of plan.siblings) this.left.set(slot, [...prompt, ...this.fresh(plan.outputTokens)]);
    expect(plan.outputTokens).toBe(Math.min(output, 300 - prompt.length));
  }

  append(slot: number, count: number): void {
    const tokens = this.left.get(slot)?.splice(0, count) ?? [];
    this.held[slot]?.push(...tokens.map((token) => ({ cell: {}, token })));
  }

  adopt(slot: number, from: number, share: boolean): void {
    const cells = this.held[from] ?? [];
    if (!share) return this.append(slot, cells.length);
    this.held[slot] = [...cells];
    this.left.get(slot)?.splice(0, cells.length);
  }

  end(slot: number, keep: boolean): void {
    this.running.delete(slot);
    this.left.delete(slot);
    if (!keep) this.held[slot] = [];
  }

  drop(slot: number): void {
    this.held[slot] = [];
  }

  private fresh(count: number): number[] {
    return Array.from({ length: count }, () => {
      this.next += 1;
      return this.next;
    });
  }
}
