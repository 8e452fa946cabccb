// What stands between the candidate and its end: evidence for a rollback, the gate, and the proofs that a promotion needs.
import type { EvidenceResource, RolloutResource } from '#libs/contract';
import { useGateProgress } from '../api/rollouts.js';
import { Tag } from '../app/tag.js';
import { boundText, effectText } from '../words/format.js';
import { checks, type Named, verdicts } from '../words/names.js';
import { Card } from './card.js';
import { intervalText } from './chart-data.js';
import { EvidenceBar } from './evidence-bar.js';
import classes from './proof-card.module.css';

const proven: Named = { word: 'Proven', tone: 'good', sign: 'tick' };
const unproven: Named = { word: 'Not yet', tone: 'plain', sign: 'clock' };

interface GatePolicy {
  readonly testSet: string;
  readonly margin: number;
}

function gatePolicyOf(plan: RolloutResource['plan']): GatePolicy | null {
  const { gate } = plan as { gate?: GatePolicy | null };
  return gate ?? null;
}

function Gate({ rollout, evidence }: { readonly rollout: RolloutResource; readonly evidence: EvidenceResource | undefined }) {
  const policy = gatePolicyOf(rollout.plan);
  const gate = evidence?.gate ?? null;
  const { data: progress } = useGateProgress(rollout.id, rollout.phase === 'gating' && gate === null);
  if (!policy) return <p>This plan has no gate: the candidate meets traffic without a test run.</p>;
  if (!gate)
    return <p>{progress ? `Test set ${policy.testSet}. ${progress.note}` : `Test set ${policy.testSet} has not given its answer yet.`}</p>;
  const interval = intervalText(gate.lower, gate.upper, 'points');
  return (
    <>
      <p>
        Test set {policy.testSet}
        {gate.effect === null ? '' : `: ${effectText(gate.effect, 'points')} against ${rollout.stable.label}`}
        {interval ? ` (${interval})` : ''}, margin {boundText(-Math.abs(policy.margin), 'points')}.
      </p>
      <p>{gate.note}</p>
    </>
  );
}

export function ProofCard({ rollout, evidence }: { readonly rollout: RolloutResource; readonly evidence: EvidenceResource | undefined }) {
  const gate = evidence?.gate ?? null;
  return (
    <Card title="Evidence">
      <div className={classes['parts']}>
        <div className={classes['part']}>
          <h3>For a rollback, all checks together</h3>
          {evidence ? (
            <>
              <EvidenceBar logE={evidence.combined.logE} threshold={evidence.combined.threshold} />
              <p>
                At {evidence.combined.threshold.toFixed(2)} the candidate is taken back. A good candidate ever gets there in at most{' '}
                {falseAlarms(rollout.plan)} of rollouts.
              </p>
            </>
          ) : (
            <p>None yet.</p>
          )}
        </div>
        <div className={classes['part']} data-testid="gate">
          <h3>
            Gate
            {gatePolicyOf(rollout.plan) ? <Tag named={verdicts[gate?.verdict ?? 'unmeasured']} label="Verdict" /> : null}
          </h3>
          <Gate rollout={rollout} evidence={evidence} />
        </div>
        <div className={classes['part']}>
          <h3>For a promotion</h3>
          {evidence && evidence.promotion.length > 0 ? (
            <ul className={classes['proofs']}>
              {evidence.promotion.map((proof) => (
                <li key={proof.check} data-testid={`proof-${proof.check}`}>
                  <span>
                    {checks[proof.check].word}
                    <br />
                    <EvidenceBar logE={proof.logE} threshold={proof.needed} speaks="for" />
                  </span>
                  <Tag named={proof.proven ? proven : unproven} />
                </li>
              ))}
            </ul>
          ) : (
            <p>Each gating check must prove that the candidate is not worse than the margin. No proof has begun.</p>
          )}
        </div>
      </div>
    </Card>
  );
}

function falseAlarms(plan: RolloutResource['plan']): string {
  const { alpha } = plan as { alpha?: unknown };
  return typeof alpha === 'number' ? `${Number((alpha * 100).toFixed(3))}%` : 'a small share';
}
