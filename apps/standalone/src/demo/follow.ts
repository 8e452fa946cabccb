// Follows one rollout from its webhook to its end and tells each decision with its numbers as it is made.
import { createHash } from 'node:crypto';
import type { Clock } from '#libs/base';
import type { EvidenceResource, RolloutEventResource, RolloutResource } from '#libs/contract';
import type { Admin } from './admin.js';
import { demoGate, demoModel, demoPlan, type Role } from './cast.js';
import type { Row, Story } from './story.js';
import type { Traffic } from './traffic.js';

const pollMs = 250;
const progressEveryMs = 5_000;
const endings = new Set(['promoted', 'rolledBack', 'aborted']);

export interface Ending {
  readonly role: Role;
  readonly rollout: RolloutResource;
  readonly last: RolloutEventResource;
  readonly row: Row;
}

/** Sends the deployment webhook of a role and stays with its rollout until traffic has moved. Throws when it has not ended after `limitMs`. */
export async function deployAndFollow(
  role: Role,
  stage: { admin: Admin; story: Story; traffic: Traffic; clock: Clock; hookSecret: string; limitMs: number },
): Promise<Ending> {
  const { admin, story, traffic, clock } = stage;
  story.heading(`${role.label}: ${role.story}`);
  const startedAt = clock.now();
  const { rolloutId } = await admin.deploy(stage.hookSecret, {
    type: 'version.deployed',
    model: demoModel,
    version: {
      label: role.label,
      spec: {
        engine: { kind: 'llama', file: role.file, sha256: role.sha256, contextSize: 1024, parallel: 4, threads: 1 },
        sampling: { maxTokens: 160 },
      },
      lineage: { source: 'demo', description: role.story },
    },
    plan: { ...demoPlan, gate: role.gated ? demoGate : null },
  });
  story.say(`${role.label} arrived by a signed webhook; its rollout is ${rolloutId}`);
  const rollout = await untilEnded(rolloutId, role, stage);
  const events = await admin.events(rolloutId);
  const last = events.findLast((event) => endings.has(event.toPhase));
  if (!last) throw new Error(`${role.label} ended without an event that says why`);
  const row = rowOf(role, rollout, last, traffic, startedAt);
  if (!row.asExpected) story.say(`This is not what should have happened to ${role.label}.`, 'red');
  return { role, rollout, last, row };
}

async function untilEnded(
  rolloutId: string,
  role: Role,
  { admin, story, clock, limitMs }: { admin: Admin; story: Story; clock: Clock; limitMs: number },
): Promise<RolloutResource> {
  const giveUpAt = clock.monotonicMs() + limitMs;
  let told = 0;
  let progressAt = clock.monotonicMs() + progressEveryMs;
  for (;;) {
    const events = await admin.events(rolloutId);
    for (const event of events) {
      if (event.seq <= told) continue;
      told = event.seq;
      story.say(event.sentence, styleOf(event));
      progressAt = clock.monotonicMs() + progressEveryMs;
    }
    const rollout = await admin.rollout(rolloutId);
    // The end counts when every live gateway serves by it: "rolled back" means traffic moved, not a row written.
    if (endings.has(rollout.phase) && rollout.gateways.live > 0 && rollout.gateways.missing.length === 0 && told > 0) {
      const final = await admin.events(rolloutId);
      for (const event of final) if (event.seq > told) story.say(event.sentence, styleOf(event));
      return rollout;
    }
    if (rollout.phase === 'paused') throw new Error(`the rollout of ${role.label} is paused and asks for a person: ${rollout.sentence}`);
    if (clock.monotonicMs() > progressAt) {
      progressAt = clock.monotonicMs() + progressEveryMs;
      story.detail(await progressOf(admin, rollout));
    }
    if (clock.monotonicMs() > giveUpAt)
      throw new Error(`the rollout of ${role.label} did not end within ${Math.round(limitMs / 1000)} s: ${rollout.sentence}`);
    await clock.sleep(pollMs);
  }
}

async function progressOf(admin: Admin, rollout: RolloutResource): Promise<string> {
  if (rollout.phase === 'gating') return `... gating: ${await admin.gateNote(rollout.id)}`;
  const evidence = await admin.newestEvidence(rollout.id);
  return evidence ? `... ${rollout.phase}: ${measured(evidence)}` : `... ${rollout.sentence}`;
}

function measured(evidence: EvidenceResource): string {
  const parts = [`${evidence.counts.candidate} answers by the candidate, ${evidence.counts.stable} by stable`];
  for (const finding of evidence.findings) {
    if (finding.effect === null || finding.verdict === 'unmeasured') continue;
    const bounds = finding.lower !== null && finding.upper !== null ? ` (${percent(finding.lower)} .. ${percent(finding.upper)})` : '';
    parts.push(`${finding.check} ${percent(finding.effect)}${bounds}`);
  }
  return parts.join('; ');
}

function percent(share: number): string {
  const value = share * 100;
  return `${value >= 0 ? '+' : ''}${Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1)}%`;
}

function styleOf(event: RolloutEventResource): 'green' | 'red' | 'yellow' | 'reset' {
  if (event.toPhase === 'promoted') return 'green';
  if (event.toPhase === 'rolledBack' || event.toPhase === 'aborted') return 'red';
  return event.toPhase === 'paused' ? 'yellow' : 'reset';
}

function rowOf(role: Role, rollout: RolloutResource, last: RolloutEventResource, traffic: Traffic, startedAt: number): Row {
  const seen = traffic.seenOf(role.label, startedAt);
  const check = last.reason.check;
  const asExpected =
    rollout.phase === role.expect.phase &&
    (role.expect.phase === 'promoted' || last.reason.code === role.expect.cause) &&
    (role.expect.checks === undefined || (check !== undefined && role.expect.checks.includes(check)));
  const judged =
    role.expect.phase === 'promoted' ? 'proven no worse' : [check ?? last.reason.code, last.reason.direction].filter(Boolean).join(' ');
  const spanMs =
    seen.firstFinishedAt !== null && seen.lastStartedAt !== null ? Math.max(0, seen.lastStartedAt - seen.firstFinishedAt) : null;
  const reached = rollout.phase === 'rolledBack' && seen.answers > 0 && spanMs !== null;
  return {
    version: role.label,
    outcome:
      rollout.phase === 'rolledBack' && last.reason.code === 'gate.failed'
        ? 'stopped by the gate'
        : rollout.phase === 'rolledBack'
          ? 'rolled back'
          : rollout.phase,
    cause: judged,
    served: rollout.phase === 'promoted' ? `${last.evidence?.counts.candidate ?? '?'} until proven` : String(seen.answers),
    seconds: reached && spanMs !== null ? `${(spanMs / 1000).toFixed(1)} s` : '-',
    asExpected,
  };
}

/** Digest of a file's text, to show that the test set in the database is the bundled one. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
