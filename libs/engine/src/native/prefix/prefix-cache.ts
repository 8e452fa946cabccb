// What the sequences of one engine child hold, which slot serves a new prompt best, and what must go to make room.
import { CellTree } from './cell-tree.js';
import { commonPrefix } from './common-prefix.js';
import { Footprint } from './footprint.js';
import { byLoss, emptySlot, type Slot, write } from './slot.js';

export interface PrefixCacheOptions {
  readonly slots: number;
  /** Cells of the unified KV cache, shared by all slots. */
  readonly cells: number;
  /** Positions of one sequence. Default: all cells. */
  readonly contextSize?: number;
  /**
   * What the model's memory lets be reused. `any`: any prefix of what a slot holds. `whole`: only all of it (recurrent state cannot be cut back). `none`: nothing.
   * Default `any`.
   */
  readonly reuse?: 'any' | 'whole' | 'none';
  /** Whether slots may share cells (unified KV). Default true. */
  readonly share?: boolean;
}

/**
 * How a prompt gets a slot. The loop does in this order, before its next decode:
 * 1. `copyFrom` null: remove from `slot` everything from position `keepTokens`. Else: remove all of `slot`, then copy positions 0 to `copyFrom.tokens`
 *    of sequence `copyFrom.slot` to it (cells become shared).
 * 2. Remove all of every slot in `evict`; the source of the copy may be among them.
 * 3. `begin(plan)`, and evaluate the prompt from `cachedTokens`.
 * 4. With `siblings`, when the whole prompt is evaluated: copy all of `slot` to each of them, `adopt` them, and sample their first tokens from the same logits.
 *    Without shared cells each sibling evaluates the prompt itself.
 */
export interface PrefixPlan {
  readonly slot: number;
  readonly keepTokens: number;
  readonly copyFrom: { readonly slot: number; readonly tokens: number } | null;
  readonly evict: readonly number[];
  /** Tokens of the prompt that need no evaluation: `keepTokens` or `copyFrom.tokens`. */
  readonly cachedTokens: number;
  readonly promptTokens: number;
  /** Slots of the other choices: they run from the beginning, and hold nothing until they are adopted. */
  readonly siblings: readonly number[];
  /** Cells that the output may take, per choice. */
  readonly outputTokens: number;
  /** State of the cache that the plan was made for. */
  readonly revision: number;
}

/** Copies of fewer tokens than this are not worth a history. */
const shortTokens = 32;

/**
 * The key of an entry is version + LoRA + template: all three are constant in one child, because a child is one version, so only tokens are
 * compared. Prefixes are exact (a shifted KV is not what a fresh evaluation gives), and the last prompt token is always evaluated again: its logits are needed.
 *
 * Cells are reserved for the most that running sequences may need, so that a decode never finds the cache full; idle histories fill the rest and go,
 * least recently used first, when room is needed. Nothing running is ever evicted.
 *
 * Pure bookkeeping. A plan costs the tokens compared (`commonPrefix`) and slots x runs.
 */
export class PrefixCache {
  private readonly slots: Slot[];
  private readonly tree = new CellTree();
  private readonly contextSize: number;
  private uses = 0;
  private revision = 0;
  /** Since the start: tokens of prompts, and those of them that were there already. */
  promptTokens = 0;
  cachedTokens = 0;

  constructor(private readonly options: PrefixCacheOptions) {
    const { slots, cells, contextSize = cells } = options;
    if (!(slots > 0 && cells > 0)) throw new RangeError('slots and cells must be above 0');
    this.contextSize = contextSize;
    this.slots = Array.from({ length: slots }, (_, id) => emptySlot(id));
  }

  get cellsTotal(): number {
    return this.options.cells;
  }

  /** Distinct cells held by running and idle slots. */
  get cellsUsed(): number {
    return this.tree.used;
  }

  /** Cells that running sequences hold or may still come to need: the rest can be had by eviction. */
  get cellsReserved(): number {
    return this.footprint(this.running()) + this.growth();
  }

  count(state: Slot['state']): number {
    return this.slots.filter((slot) => slot.state === state).length;
  }

  /** Tokens that the slot holds. */
  lengthOf(slot: number): number {
    return this.at(slot).length;
  }

  /**
   * Whether sequences that need at most so many cells together could begin now, whatever is idle. Never wrongly yes; a prompt that shares cells with a
   * running one may fit although this says no: `plan` knows.
   */
  fits(tokensNeeded: number, slotsNeeded = 1): boolean {
    return this.slots.length - this.count('running') >= slotsNeeded && this.cellsReserved + tokensNeeded <= this.options.cells;
  }

  /**
   * The best slot for a prompt and slots for its other choices, or null when they cannot all begin now. Changes nothing. Throws for a prompt that is empty or
   * longer than the context.
   */
  plan(prompt: ArrayLike<number>, maxOutputTokens: number, choices = 1): PrefixPlan | null {
    if (prompt.length === 0 || prompt.length > this.contextSize) throw new RangeError(`a prompt of ${prompt.length} tokens`);
    const free = this.slots.filter((slot) => slot.state !== 'running').sort(byLoss);
    const [target] = free;
    // First: a full engine asks at each of its steps.
    if (!target || free.length < choices) return null;
    const need = { promptTokens: prompt.length, outputTokens: Math.min(maxOutputTokens, this.contextSize - prompt.length), choices };

    const matches = this.matches(prompt instanceof Int32Array ? prompt : Int32Array.from(prompt));
    const best = longest(matches);
    const bestIdle = longest(matches.filter(({ slot }) => slot.state === 'idle'));
    const keep = bestIdle?.slot === target ? bestIdle.tokens : 0;
    const copy = this.canShare && best && best.slot !== target && best.tokens >= shortTokens ? best : null;
    // In place as long as nothing much is lost by it: neither a longer prefix elsewhere, nor the tail of a history that goes on differently.
    const inPlace = bestIdle && (!copy || (copy.tokens - bestIdle.tokens < shortTokens && (keep > 0 || !losesMuch(bestIdle))));
    if (inPlace) {
      const plan = this.fit(bestIdle.slot, bestIdle.tokens, null, need);
      if (plan || !copy) return plan;
    }
    return this.fit(target, copy ? 0 : keep, copy, need);
  }

  /** Applies a plan: evicts, copies or cuts, and the slot runs. Throws when slots began, ended or were dropped since it was made. */
  begin(plan: PrefixPlan): void {
    if (plan.revision !== this.revision) throw new Error('the plan is older than the cache: plan again');
    const slot = this.at(plan.slot);
    if (plan.copyFrom) {
      const source = this.at(plan.copyFrom.slot);
      this.clear(slot);
      this.tree.share(source.id, slot.id, plan.copyFrom.tokens);
      write(slot, source.tokens.subarray(0, plan.copyFrom.tokens));
    } else {
      this.tree.truncate(slot.id, plan.keepTokens);
      slot.length = plan.keepTokens;
    }
    for (const id of plan.evict) this.clear(this.at(id));
    this.run(slot, plan.promptTokens - plan.cachedTokens + plan.outputTokens);
    for (const id of plan.siblings) this.run(this.at(id), plan.outputTokens + (this.canShare ? 0 : plan.promptTokens));
    if (plan.copyFrom) this.at(plan.copyFrom.slot).used = this.nextUse();
    this.promptTokens += plan.promptTokens;
    this.cachedTokens += plan.cachedTokens;
    this.revision += 1;
  }

  /** A sibling that holds nothing yet shares everything that `from` holds; throws when cells cannot be shared. */
  adopt(sibling: number, from: number): void {
    const slot = this.at(sibling);
    const source = this.at(from);
    if (slot.state !== 'running' || source.state !== 'running' || slot.length > 0 || !this.canShare) {
      throw new Error(`slot ${sibling} cannot share what slot ${from} holds`);
    }
    this.tree.share(from, sibling, source.length);
    write(slot, source.tokens.subarray(0, source.length));
  }

  /** Tokens that were evaluated for a running slot. Throws beyond what was reserved. */
  append(slot: number, tokens: ArrayLike<number>): void {
    const held = this.at(slot);
    if (held.state !== 'running') throw new Error(`slot ${slot} does not run`);
    if (tokens.length > held.reserved) throw new Error(`slot ${slot} has ${held.reserved} cells left of its plan, not ${tokens.length}`);
    held.reserved -= tokens.length;
    write(held, tokens);
    this.tree.append(slot, tokens.length);
  }

  /** A running slot goes back to its first `tokens`; what it forgets is reserved for it again. Throws for more than it holds. */
  rewind(slot: number, tokens: number): void {
    const held = this.at(slot);
    if (held.state !== 'running' || tokens > held.length) throw new Error(`slot ${slot} cannot go back to ${tokens} tokens`);
    this.tree.truncate(slot, tokens);
    held.reserved += held.length - tokens;
    held.length = tokens;
    this.revision += 1;
  }

  /** A running sequence has ended or was cancelled. `keep`: what was evaluated stays for later prompts; false after a failed decode. */
  end(slot: number, keep: boolean): void {
    const held = this.at(slot);
    if (held.state !== 'running') throw new Error(`slot ${slot} does not run`);
    held.used = this.nextUse();
    held.state = 'idle';
    held.reserved = 0;
    if (!keep || held.length === 0 || this.options.reuse === 'none') this.clear(held);
    this.revision += 1;
  }

  /** Forgets an idle slot; throws for a running one. The loop removes the sequence. */
  drop(slot: number): void {
    if (this.at(slot).state === 'running') throw new Error(`slot ${slot} runs`);
    this.clear(this.at(slot));
    this.revision += 1;
  }

  private get canShare(): boolean {
    return this.options.share ?? true;
  }

  private at(slot: number): Slot {
    const held = this.slots[slot];
    if (!held) throw new RangeError(`there is no slot ${slot}`);
    return held;
  }

  private running(): readonly Slot[] {
    return this.slots.filter((slot) => slot.state === 'running');
  }

  private growth(): number {
    return this.running().reduce((sum, slot) => sum + slot.reserved, 0);
  }

  private run(slot: Slot, reserved: number): void {
    slot.state = 'running';
    slot.reserved = reserved;
    slot.used = this.nextUse();
  }

  private nextUse(): number {
    this.uses += 1;
    return this.uses;
  }

  private clear(slot: Slot): void {
    this.tree.truncate(slot.id, 0);
    slot.state = 'empty';
    slot.length = 0;
    slot.reserved = 0;
  }

  /** What each slot could contribute to the prompt, where that is anything. */
  private matches(prompt: Int32Array): Match[] {
    const { reuse = 'any' } = this.options;
    if (reuse === 'none') return [];
    return this.slots.flatMap((slot) => {
      const tokens = commonPrefix(slot.tokens, prompt, Math.min(slot.length, prompt.length - 1));
      return tokens === 0 || (reuse === 'whole' && tokens < slot.length) ? [] : [{ slot, tokens }];
    });
  }

  /** Completes a plan with siblings and with the idle slots that must go, least recently used first; null when even that is not enough. */
  private fit(slot: Slot, keepTokens: number, copy: Match | null, need: Need): PrefixPlan | null {
    const { promptTokens, outputTokens, choices } = need;
    const cachedTokens = copy?.tokens ?? keepTokens;
    const source = copy?.slot ?? slot;
    // The source of a copy is the last to go: its cells are in use anyway.
    const lastUse = (one: Slot): number => (one === source ? Number.POSITIVE_INFINITY : one.used);
    const others = this.slots.filter((one) => one.state !== 'running' && one !== slot);
    const siblings = others.sort((a, b) => byLoss({ ...a, used: lastUse(a) }, { ...b, used: lastUse(b) })).splice(0, choices - 1);

    const repeated = this.canShare ? 0 : promptTokens * siblings.length;
    const room = this.options.cells - this.growth() - (promptTokens - cachedTokens) - outputTokens * choices - repeated;
    const footprint = new Footprint(this.tree);
    for (const running of this.running()) footprint.add(running.id, running.length);
    footprint.add(source.id, cachedTokens);
    if (footprint.cells > room) return null;
    const idle = others.filter((one) => one.state === 'idle').sort((a, b) => lastUse(b) - lastUse(a));
    const tooMuch = idle.findIndex((one) => {
      footprint.add(one.id, one.length);
      return footprint.cells > room;
    });
    const evict = [...siblings.filter((one) => one.state === 'idle'), ...(tooMuch < 0 ? [] : idle.slice(tooMuch).reverse())].map(
      (one) => one.id,
    );
    return {
      slot: slot.id,
      keepTokens,
      copyFrom: copy && { slot: copy.slot.id, tokens: copy.tokens },
      evict,
      cachedTokens,
      promptTokens,
      siblings: siblings.map((one) => one.id),
      outputTokens,
      revision: this.revision,
    };
  }

  private footprint(slots: readonly Slot[]): number {
    const footprint = new Footprint(this.tree);
    for (const slot of slots) footprint.add(slot.id, slot.length);
    return footprint.cells;
  }
}

interface Need {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly choices: number;
}

interface Match {
  readonly slot: Slot;
  readonly tokens: number;
}

/** Of equal ones the history that is cut least. */
function longest(matches: readonly Match[]): Match | null {
  return matches.toSorted((a, b) => b.tokens - a.tokens || a.slot.length - b.slot.length)[0] ?? null;
}

function losesMuch({ slot, tokens }: Match): boolean {
  return slot.length - tokens > tokens && slot.length - tokens >= shortTokens;
}
