// A logarithm of an e-value against the one that decides, as number and bar.
import classes from './checks-table.module.css';

/** Where "look closely" begins: an e-value of 10, above which a rollout does not go forward. */
const amberLogE = Math.log(10);

export function EvidenceBar({
  logE,
  threshold,
  share,
}: {
  readonly logE: number;
  readonly threshold: number;
  readonly share?: number | undefined;
}) {
  const part = threshold > 0 ? Math.min(Math.max(logE / threshold, 0), 1) : 0;
  return (
    <>
      <span
        className={classes['num']}
        title="Natural logarithm of the e-value against “no worse than the margin”, and of the value that decides"
      >
        {logE.toFixed(2).replace('-', '−')} <span className={classes['dim']}>of {threshold.toFixed(2)}</span>
      </span>
      <span className={classes['bar']} aria-hidden="true">
        <i data-tone={part >= 1 ? 'bad' : logE >= amberLogE ? 'wait' : 'plain'} style={{ width: `${part * 100}%` }} />
      </span>
      {share === undefined || share < 0.005 ? null : <span className={classes['dim']}>{Math.round(share * 100)} % of the total</span>}
    </>
  );
}
