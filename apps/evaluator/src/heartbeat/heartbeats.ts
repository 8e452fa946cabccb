// The heartbeat of promoted versions: their own frozen answers, read again through the serving stack every hour. A version that reads them otherwise than on
// its first day is not what was promoted: other weights, another template, a broken quantisation or driver.
import { Inject, Injectable } from '@nestjs/common';
import { heartbeatFails, nextHeartbeatLogR, readHeartbeat, type TextFigures } from '#libs/analysis';
import { type Clock, Pulse } from '#libs/base';
import type { TestCase } from '#libs/scoring';
import { AuditStore, Database, type DueHeartbeat, HeartbeatStore, type HeartbeatText, OutboxStore, TestSetStore } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, EvaluatorSettings, LOG } from '../core.js';
import { GatewayClient } from '../gateway-client.js';
import { ScoreClient } from './score-client.js';

const everyMs = 5_000;
/** Longer than any beat takes; after it another evaluator may take over. */
const holdMs = 600_000;
/** Enough for a sure answer in one beat, and a second's work. */
const mostTexts = 40;
/** With fewer texts read than this share the beat says nothing. */
const leastShare = 0.5;
/** A lone hour of scores that come later is no news. */
const retryAnswerTimes = 3;

type Beat = Parameters<HeartbeatStore['finish']>[2];

@Injectable()
export class Heartbeats {
  private readonly store = new HeartbeatStore();
  private readonly testSets = new TestSetStore();
  private readonly outbox = new OutboxStore();
  private readonly audit = new AuditStore();
  private readonly answers: GatewayClient;
  private readonly scores: ScoreClient;
  private readonly pulse: Pulse;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(EvaluatorSettings) settings: EvaluatorSettings,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) log: Log,
  ) {
    this.answers = new GatewayClient({ ...settings.values, concurrency: 1, clock });
    this.scores = new ScoreClient(settings.values);
    const quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs,
      beat: async () => await this.round(),
      onError: (error) => quiet.warn('a heartbeat was interrupted; it is taken again', error),
    });
  }

  start(): void {
    this.pulse.start();
  }

  async close(): Promise<void> {
    await this.pulse.stop();
    await this.answers.close();
    await this.scores.close();
  }

  /** All beats that are due, one after the other. */
  async round(): Promise<void> {
    for (;;) {
      if (this.pulse.signal.aborted) return;
      const due = await this.store.takeDue(this.database.manager, holdMs);
      if (!due) return;
      await this.conclude(due, await this.take(due));
    }
  }

  private async take(due: DueHeartbeat): Promise<Beat> {
    const nothing = (note: string): Beat => ({ verdict: 'unmeasured', texts: 0, logE: null, lnR: due.lnR, nllRatio: null, note });
    const stored = await this.store.texts(this.database.manager, due.versionId);
    if (stored.length === 0) return nothing(await this.freeze(due));
    const pairs: { stored: TextFigures; now: TextFigures }[] = [];
    let trouble = '';
    for (const text of stored) {
      const reading = await this.scores.read({ ...due, versionLabel: due.label, ...text }, this.pulse.signal);
      if (reading.kind === 'read') pairs.push({ stored: text, now: reading.figures });
      else trouble = reading.reason;
      if (reading.kind === 'cannot') break;
    }
    if (pairs.length < stored.length * leastShare) return nothing(`${pairs.length} of ${stored.length} texts could be read: ${trouble}`);
    const { texts, logE, nllRatio } = readHeartbeat(pairs);
    const lnR = nextHeartbeatLogR(due.lnR, logE);
    const failed = heartbeatFails(lnR);
    const note = `${texts} frozen texts read again: mean NLL ${((nllRatio - 1) * 100).toFixed(1)}% against the first day`;
    return { verdict: failed ? 'fail' : 'pass', texts, logE, lnR, nllRatio, note };
  }

  /** The first beat of a version: it answers the first cases of its test set and reads its own answers. What it says then is what it is held to. */
  private async freeze(due: DueHeartbeat): Promise<string> {
    const { model, label, testSet, versionId } = due;
    const { manager } = this.database;
    const newest = testSet === null ? null : await this.testSets.newest(manager, testSet);
    if (!newest) return 'no test set is named by the gate of the plan: there are no prompts to freeze';
    const cases = (await this.testSets.cases(manager, newest.id)).slice(0, mostTexts).map(({ content }) => content as TestCase);
    const texts: HeartbeatText[] = [];
    let trouble = '';
    for (const testCase of cases) {
      const answer = await this.answerTo(due, testCase);
      if (answer.text === null) {
        trouble = answer.reason;
        continue;
      }
      const messages = testCase.messages as unknown as HeartbeatText['messages'];
      const reading = await this.scores.read({ model, versionLabel: label, messages, answer: answer.text }, this.pulse.signal);
      if (reading.kind === 'read') texts.push({ caseId: testCase.id, messages, answer: answer.text, ...reading.figures });
      else trouble = reading.reason;
      if (reading.kind === 'cannot') break;
    }
    if (texts.length < cases.length * leastShare) return `${texts.length} of ${cases.length} texts could be frozen: ${trouble}`;
    await this.database.transaction(async (tx) => await this.store.freeze(tx, versionId, texts));
    return `${texts.length} texts frozen; they are read again from the next beat on`;
  }

  private async answerTo({ model, label }: DueHeartbeat, testCase: TestCase): Promise<{ text: string | null; reason: string }> {
    let reason = '';
    for (let turn = 0; turn < retryAnswerTimes; turn += 1) {
      const reply = await this.answers.ask({ model, versionLabel: label, testCase }, this.pulse.signal);
      if (reply.kind === 'answered') return { text: reply.output === '' ? null : reply.output, reason: 'it answers nothing' };
      reason = reply.reason;
      if (reply.kind === 'refused') break;
      await this.clock.sleep(reply.kind === 'later' ? (reply.retryAfterMs ?? 500) : 100, this.pulse.signal);
    }
    return { text: null, reason };
  }

  private async conclude(due: DueHeartbeat, beat: Beat): Promise<void> {
    const { model, label, versionId } = due;
    await this.database.transaction(async (tx) => {
      if (!(await this.store.finish(tx, due, beat))) return;
      // Once, when it begins to fail.
      if (beat.verdict !== 'fail' || heartbeatFails(due.lnR)) return;
      const sentence = `${model}@${label} reads its own frozen answers otherwise than when it was promoted: ${beat.note}. What serves is not what was promoted.`;
      const detail = { versionId, version: label, logE: beat.logE, nllRatio: beat.nllRatio, texts: beat.texts };
      await this.outbox.append(tx, { type: 'model.heartbeat_failed', subject: `model/${model}`, data: { model, ...detail, sentence } });
      await this.audit.append(tx, {
        actor: 'evaluator',
        action: 'model.heartbeat_failed',
        subject: `model/${model}`,
        reason: sentence,
        detail,
      });
    });
  }
}
