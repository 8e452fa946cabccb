// One finding as a picture: interval and effect on a line between its margins. Arrowheads say that the interval goes on beyond the picture.
import type { FindingResource } from '#libs/contract';
import { whiskerOf } from './whisker-shape.js';

const width = 128;
const height = 22;

export function Whisker({ finding }: { readonly finding: FindingResource }) {
  const shape = whiskerOf(finding, width);
  if (!shape) return null;
  const middle = height / 2;
  const colour = finding.verdict === 'fail' ? 'var(--bad)' : 'var(--calm)';
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true" focusable="false">
      <path d={`M${shape.zero} 2v${height - 4}`} stroke="var(--ink-3)" strokeWidth="1" />
      {shape.margins.map((x) => (
        <path key={x} d={`M${x} 2v${height - 4}`} stroke="var(--bad)" strokeWidth="1.5" strokeDasharray="3 2" />
      ))}
      {shape.interval ? (
        <path d={`M${shape.interval.from} ${middle}H${shape.interval.to}`} stroke={colour} strokeWidth="3" opacity="0.55" />
      ) : null}
      {shape.interval?.cutLeft ? <path d={`M6 ${middle - 4}L1 ${middle}l5 4`} stroke={colour} fill="none" strokeWidth="1.8" /> : null}
      {shape.interval?.cutRight ? <path d={`M${width - 6} ${middle - 4}l5 4l-5 4`} stroke={colour} fill="none" strokeWidth="1.8" /> : null}
      {shape.effect === null ? null : <circle cx={shape.effect} cy={middle} r="4" fill={colour} />}
    </svg>
  );
}
