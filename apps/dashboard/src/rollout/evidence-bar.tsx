// A logarithm of an e-value against the one that decides, as number and bar.
import classes from './checks-table.module.css';

/** Where "look closely" begins: an e-value of 10, above which a rollout does not go forward. */
const amberLogE = Math.log(10);

interface Props {
  readonly logE: number;
  readonly threshold: number;
  /** Of the weighted average over all checks. */
  readonly share?: number | undefined;
  /** Reaching the threshold is what a rollback waits for, or what a promotion does. */
  readonly speaks?: 'against' | 'for';
}

function toneOf({ logE, threshold, speaks = 'against' }: Props): string {
  if (speaks === 'for') return logE >= threshold ? 'good' : 'plain';
  if (logE >= threshold) return 'bad';
  return logE >= amberLogE ? 'wait' : 'plain';
}

export function EvidenceBar(props: Props) {
  const { logE, threshold, share } = props;
  const part = threshold > 0 ? Math.min(Math.max(logE / threshold, 0), 1) : 0;
  return (
    <>
      <span className={classes['num']} title="Natural logarithm of the e-value, and the value at which it decides">
        {logE.toFixed(2).replace('-', '−')} <span className={classes['dim']}>of {threshold.toFixed(2)}</span>
      </span>
      <span className={classes['bar']} aria-hidden="true">
        <i data-tone={toneOf(props)} style={{ width: `${part * 100}%` }} />
      </span>
      {share === undefined || share < 0.005 ? null : <span className={classes['dim']}>{Math.round(share * 100)}% of the total</span>}
    </>
  );
}
