// The queue before a server of a fixed speed: what it predicts at the door is what happens.
import { describe, expect, it, vi } from 'vitest';
import type { Ask, Work } from './ask.js';
import { ExpectedOutput } from './expected-output.js';
import { AdmissionQueue } from './queue.js';
import { SpeedEstimate } from './speed.js';
import type { StepCost } from './step-cost.js';

interface Job {
  readonly ask: Ask;
  /** What it will produce, unknown to the queue. */
  readonly outputTokens: number;
  readonly offeredAtMs: number;
  readonly predictedMs: number;
  input: number;
  produced: number;
  finishedAtMs: number;
}

/** Steps like a decode loop: decodes first, then prompts in order up to a chunk. */
class FakeServer {
  nowMs = 0;
  readonly speed = new SpeedEstimate();
  readonly expected = new ExpectedOutput();
  readonly running: Job[] = [];
  readonly finished: Job[] = [];
  readonly queue: AdmissionQueue<Job | null>;
  expired = 0;

  constructor(
    private readonly cost: StepCost,
    private readonly slots: number,
  ) {
    const load = () => ({ slots, running: this.running.map((job) => this.left(job)) });
    this.queue = new AdmissionQueue({ maxQueuedTokens: 1e9, tenantShare: 1, speed: this.speed, expected: this.expected, load });
  }

  /** False when the queue refused it. */
  offer(ask: Ask, outputTokens: number): boolean {
    // A deadline that nothing can meet makes the queue tell its prediction.
    const probe = this.queue.offer(null, { ...ask, id: 'probe', deadlineMs: -1 }, this.nowMs);
    const predictedMs = probe.ok ? Number.NaN : (probe.needMs ?? Number.NaN);
    const job = { ask, outputTokens, offeredAtMs: this.nowMs, predictedMs, input: ask.inputTokens, produced: 0, finishedAtMs: 0 };
    return this.queue.offer(job, ask, this.nowMs).ok;
  }

  step(chunkTokens = 256): void {
    this.expired += this.queue.expired(this.nowMs).length;
    for (let free = this.slots - this.running.length; free > 0; free -= 1) {
      const job = this.queue.take(this.nowMs)?.item;
      if (job) this.running.push(job);
    }
    const decoding = this.running.filter((job) => job.input === 0);
    let room = chunkTokens;
    for (const job of this.running) {
      const tokens = Math.min(room, job.input);
      job.input -= tokens;
      room -= tokens;
    }
    const step = { prefillTokens: chunkTokens - room, sequences: decoding.length };
    const ms = this.cost.stepMs + this.cost.sequenceMs * step.sequences + this.cost.promptTokenMs * step.prefillTokens;
    this.nowMs += this.running.length > 0 ? ms : 1;
    this.speed.observe({ ...step, ms });
    for (const job of decoding) {
      job.produced += 1;
      if (job.produced < job.outputTokens) continue;
      job.finishedAtMs = this.nowMs;
      this.running.splice(this.running.indexOf(job), 1);
      this.finished.push(job);
      this.expected.observe(job.ask.maxOutputTokens, job.produced);
    }
  }

  private left(job: Job): Work {
    return { sequences: 1, inputTokens: job.input, outputTokens: this.expected.remaining(job.ask.maxOutputTokens, job.produced) };
  }
}

/** Mulberry32: the same numbers at every run. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Tens of thousands of steps each: seconds where others need the machine as well.
vi.setConfig({ testTimeout: 60_000 });

const cpu: StepCost = { stepMs: 8, sequenceMs: 4, promptTokenMs: 3 };
const gpu: StepCost = { stepMs: 12, sequenceMs: 0.1, promptTokenMs: 0.05 };
const ask: Omit<Ask, 'id' | 'inputTokens' | 'maxOutputTokens'> = { tenant: 'a', priority: 'live', deadlineMs: null };

describe('in steady state', () => {
  /** Keeps so many waiting and returns predicted / actual time of those offered after the first ones had finished. */
  function ratios(
    cost: StepCost,
    slots: number,
    waiting: number,
    longest: { input: number; output: number },
    used: (max: number) => number,
  ): number[] {
    const random = uniform(7);
    const server = new FakeServer(cost, slots);
    for (let id = 0; server.finished.length < 300; server.step()) {
      for (; server.queue.size + server.running.length < slots + waiting; id += 1) {
        const maxOutputTokens = 1 + Math.floor(random() * longest.output);
        server.offer({ ...ask, id, inputTokens: 1 + Math.floor(random() * longest.input), maxOutputTokens }, used(maxOutputTokens));
      }
    }
    const steady = server.finished.filter((job) => job.offeredAtMs > (server.finished[50]?.finishedAtMs ?? 0));
    expect(steady.length).toBeGreaterThan(100);
    return steady.map((job) => job.predictedMs / (job.finishedAtMs - job.offeredAtMs)).sort((a, b) => a - b);
  }

  const chat = { input: 400, output: 200 };
  const documents = { input: 2000, output: 20 };
  for (const [name, cost] of Object.entries({ cpu, gpu })) {
    for (const slots of [1, 4, 16]) {
      for (const waiting of [20, 60]) {
        it(`predicts 80% of all finishes within 20%: ${name}, ${slots} slots, ${waiting} waiting`, () => {
          for (const longest of [chat, documents]) {
            const all = ratios(cost, slots, waiting, longest, (max) => max);
            expect(all[Math.floor(all.length * 0.1)]).toBeGreaterThan(0.8);
            expect(all[Math.floor(all.length * 0.9)]).toBeLessThan(1.2);
          }
        });
      }
      it(`predicts the median finish within 20%: ${name}, ${slots} slots, nobody waiting`, () => {
        for (const longest of [chat, documents]) {
          const all = ratios(cost, slots, 0, longest, (max) => max);
          const median = all[Math.floor(all.length / 2)] ?? 0;
          expect(median).toBeGreaterThan(0.8);
          expect(median).toBeLessThan(1.2);
        }
      });
    }
  }

  it('predicts the median finish within 20% where answers end before their limit, by what they used before', () => {
    const random = uniform(3);
    for (const slots of [4, 16]) {
      const all = ratios(cpu, slots, 40, { input: 300, output: 300 }, (max) => Math.ceil(max * (random() < 0.5 ? 1 : random() / 2)));
      const median = all[Math.floor(all.length / 2)] ?? 0;
      expect(median).toBeGreaterThan(0.8);
      expect(median).toBeLessThan(1.2);
    }
  });
});

describe('at three times what the server can do', () => {
  it('finishes what it accepted in time, at the full speed of the server, and refuses the rest at the door', () => {
    const random = uniform(11);
    const server = new FakeServer(gpu, 16);
    const deadlineMs = 10_000;
    let refused = 0;
    let nextMs = 0;
    for (let id = 0; server.nowMs < 120_000; server.step()) {
      // 16 sequences of 100 tokens take about 1.5 s: a capacity of about 10 requests a second.
      for (; nextMs <= server.nowMs; nextMs += -Math.log(1 - random()) * 33) {
        id += 1;
        const accepted = server.offer({ ...ask, id, inputTokens: 100, maxOutputTokens: 100, deadlineMs }, 100);
        if (!accepted) refused += 1;
      }
    }
    const steady = server.finished.filter((job) => job.finishedAtMs > 20_000);
    const late = steady.filter((job) => job.finishedAtMs - job.offeredAtMs > deadlineMs * 1.1);
    const capacityMs = 100 * (gpu.stepMs + 16 * gpu.sequenceMs) + 16 * 100 * gpu.promptTokenMs;
    const capacity = (100_000 / capacityMs) * 16;
    expect(late.length).toBeLessThan(steady.length * 0.01);
    expect(steady.length).toBeGreaterThan(capacity * 0.9);
    expect(server.expired).toBeLessThan(refused * 0.05);
  });
});
