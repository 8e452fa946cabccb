// One answer of each named unit enters a rollout's comparison: its coin is drawn once, so its second answer is no second piece of evidence.
import type { Route } from '#libs/rollout';
import { type Assignment, pointOf } from './assign.js';

/** Bits per rollout: half a mebibyte. Of the first million units a tenth share a bit with an earlier one and are not counted at all. */
const places = 2 ** 22;
/** Rollouts of which units are remembered; there is one live rollout per model. */
const mostRollouts = 64;

/** As which part of a comparison an answer is observed. */
export type Compared = Pick<Assignment, 'rolloutId' | 'epoch' | 'arm'> & {
  /** Of a named unit's first answer here: by which gateways agree on who counts it. */
  readonly place?: number;
};

/** Not compared. */
export const noArm: Compared = { rolloutId: null, epoch: null, arm: null };

export interface Answered {
  readonly route: Route;
  readonly assignment: Assignment;
  readonly unit: string;
  /** The client named the unit; otherwise it is this request's alone. */
  readonly named: boolean;
}

/** A rollout, as far as its units are concerned. */
type UnitsOf = Pick<NonNullable<Route['rollout']>, 'id' | 'salt'>;

/** Another point than the one that draws the arm. */
function placeOf(salt: string, what: 'counted' | 'paired', unit: string): number {
  return Math.floor(pointOf(salt, `${what}\0${unit}`) * places);
}

/** Units are paired before they meet the candidate, and counted again when they do. */
function pairsOf(rolloutId: string): string {
  return `pairs of ${rolloutId}`;
}

/**
 * Which units have been counted. Without it ten answers of one user weigh like ten coins, and equal versions are rolled back far more
 * often than alpha says. A unit whose bit is taken by another is left out, which depends on neither its arm nor its answer. Starts empty with the process.
 */
export class FirstAnswers {
  private readonly seen = new Map<string, Uint8Array>();

  /** `tell`: of each unit that was counted, to others who count units of the same rollouts. */
  constructor(private readonly tell: ((rolloutId: string, place: number) => void) | null = null) {}

  /** Another has counted a unit. `place` is a whole number below 2^22. */
  heard(rolloutId: string, place: number): void {
    this.mark(rolloutId, place);
  }

  /** The arm of a unit's first answer; of later ones no arm, as if no coin had been drawn. */
  compared({ route: { rollout }, assignment, unit, named }: Answered): Compared {
    if (!named || assignment.arm === null || rollout === null) return assignment;
    const place = placeOf(rollout.salt, 'counted', unit);
    if (!this.first(rollout.id, place)) return noArm;
    const { rolloutId, epoch, arm } = assignment;
    return { rolloutId, epoch, arm, place };
  }

  /** Whether a mirrored prompt of a named unit has been paired. */
  hasPair({ id, salt }: UnitsOf, unit: string): boolean {
    const bits = this.seen.get(pairsOf(id));
    const place = placeOf(salt, 'paired', unit);
    return bits !== undefined && ((bits[place >>> 3] ?? 0) & (1 << (place & 7))) !== 0;
  }

  /** A mirrored prompt of a named unit is paired. False when one was before. */
  pair({ id, salt }: UnitsOf, unit: string): boolean {
    return this.first(pairsOf(id), placeOf(salt, 'paired', unit));
  }

  private first(counted: string, place: number): boolean {
    const first = this.mark(counted, place);
    if (first) this.tell?.(counted, place);
    return first;
  }

  /** False when it was marked already. */
  private mark(rolloutId: string, place: number): boolean {
    const bits = this.bitsOf(rolloutId);
    const mask = 1 << (place & 7);
    const byte = bits[place >>> 3] ?? 0;
    bits[place >>> 3] = byte | mask;
    return (byte & mask) === 0;
  }

  private bitsOf(rolloutId: string): Uint8Array {
    let bits = this.seen.get(rolloutId);
    if (!bits) {
      bits = new Uint8Array(places / 8);
      const [oldest] = this.seen.keys();
      if (this.seen.size >= mostRollouts && oldest !== undefined) this.seen.delete(oldest);
      this.seen.set(rolloutId, bits);
    }
    return bits;
  }
}
