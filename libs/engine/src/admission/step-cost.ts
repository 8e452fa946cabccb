// What a decode step costs: milliseconds as a sum of the step itself, its sequences and its prompt tokens, learned while serving.

export interface StepCost {
  /** Of any step, however small. */
  readonly stepMs: number;
  /** More for each sequence that decodes a token in it. */
  readonly sequenceMs: number;
  /** More for each prompt token in it. */
  readonly promptTokenMs: number;
}

export interface StepSample {
  /** Prompt tokens in the batch. */
  readonly prefillTokens: number;
  /** Sequences that decoded one token each. */
  readonly sequences: number;
  readonly ms: number;
}

/** Steps after which an old one counts 1/e. */
const memory = 200;
/** Weight of the prior's proportions against the data: decides only what the data cannot tell apart. */
const ridge = 0.001;

/**
 * Exponentially weighted least squares of relative errors, held to the proportions of the prior where the steps seen do not tell the three
 * costs apart (a full engine always decodes the same number of sequences); their common scale is always learned. No cost is negative.
 * A step costs some twenty additions; a 3 x 3 solution is due when somebody asks or every 16 steps.
 */
export class StepCostFit {
  private readonly squares = new Float64Array(9);
  private readonly products = new Float64Array(3);
  private measured = 0;
  private assumed = 0;
  private fitted: Triple;
  /** Steps that `fitted` does not know of. */
  private unfitted = 0;

  constructor(private readonly prior: StepCost) {
    if (!(prior.stepMs > 0 && prior.sequenceMs > 0 && prior.promptTokenMs > 0)) throw new RangeError('every prior cost must be above 0');
    this.fitted = this.priorCosts;
  }

  get cost(): StepCost {
    if (this.unfitted > 0) this.refit();
    const [stepMs, sequenceMs, promptTokenMs] = this.fitted;
    return { stepMs, sequenceMs, promptTokenMs };
  }

  observe(sample: StepSample): void {
    const x: Triple = [1, sample.sequences, sample.prefillTokens];
    // Relative errors; relative to the scale, or the time when everything was faster would weigh more.
    const size = Math.max(dot(x, this.fitted) / this.scale, 0.01 * dot(x, this.priorCosts));
    const weight = 1 / size ** 2;
    const keep = 1 - 1 / memory;
    for (let row = 0; row < 3; row += 1) {
      this.products[row] = keep * at(this.products, row) + weight * at(x, row) * sample.ms;
      for (let column = 0; column < 3; column += 1) {
        this.squares[row * 3 + column] = keep * at(this.squares, row * 3 + column) + weight * at(x, row) * at(x, column);
      }
    }
    this.measured = keep * this.measured + weight * sample.ms;
    this.assumed = keep * this.assumed + weight * dot(x, this.priorCosts);
    this.unfitted += 1;
    if (this.unfitted >= 16) this.refit();
  }

  private refit(): void {
    this.fitted = this.solve();
    this.unfitted = 0;
  }

  private get scale(): number {
    return this.assumed === 0 ? 1 : this.measured / this.assumed;
  }

  private get priorCosts(): Triple {
    return [this.prior.stepMs, this.prior.sequenceMs, this.prior.promptTokenMs];
  }

  /** Normalised by the diagonal, so that a cost seen long ago keeps its last estimate instead of drowning in rounding. */
  private solve(): Triple {
    const prior = this.priorCosts.map((cost) => cost * this.scale);
    const size = [0, 1, 2].map((i) => Math.sqrt(at(this.squares, i * 4)));
    // Never seen: the prior's, scaled. Negative: zero, and the others are fitted again without it.
    const fixed = new Map<number, number>();
    size.forEach((length, i) => {
      if (length === 0) fixed.set(i, at(prior, i));
    });
    for (;;) {
      const free = [0, 1, 2].filter((i) => !fixed.has(i));
      const matrix = free.map((i) => free.map((j) => (i === j ? 1 + ridge : at(this.squares, i * 3 + j) / (at(size, i) * at(size, j)))));
      const right = free.map((i) => {
        let rest = at(this.products, i);
        for (const [j, value] of fixed) rest -= at(this.squares, i * 3 + j) * value;
        return rest / at(size, i) + ridge * at(prior, i) * at(size, i);
      });
      const solution = eliminate(matrix, right);
      const costs = [0, 1, 2].map((i) => fixed.get(i) ?? at(solution, free.indexOf(i)) / at(size, i));
      const negative = free.filter((i) => at(costs, i) < 0);
      if (negative.length === 0) return [at(costs, 0), at(costs, 1), at(costs, 2)];
      for (const i of negative) fixed.set(i, 0);
    }
  }
}

type Triple = [number, number, number];

function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? 0;
}

function dot(a: Triple, b: Triple): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Symmetric positive definite, so no pivoting. */
function eliminate(matrix: number[][], right: number[]): number[] {
  const n = right.length;
  for (let pivot = 0; pivot < n; pivot += 1) {
    const top = matrix[pivot] ?? [];
    for (let row = pivot + 1; row < n; row += 1) {
      const line = matrix[row] ?? [];
      const factor = at(line, pivot) / at(top, pivot);
      for (let column = pivot; column < n; column += 1) line[column] = at(line, column) - factor * at(top, column);
      right[row] = at(right, row) - factor * at(right, pivot);
    }
  }
  const solution = new Array<number>(n).fill(0);
  for (let row = n - 1; row >= 0; row -= 1) {
    const line = matrix[row] ?? [];
    let rest = at(right, row);
    for (let column = row + 1; column < n; column += 1) rest -= at(line, column) * at(solution, column);
    solution[row] = rest / at(line, row);
  }
  return solution;
}
