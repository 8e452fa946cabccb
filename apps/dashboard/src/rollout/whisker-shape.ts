// Where the parts of a finding's picture go. Pure.
import type { FindingResource } from '#libs/contract';

export interface WhiskerShape {
  readonly zero: number;
  readonly margins: readonly number[];
  /** Null where the effect is unknown; at an edge where it is beyond. */
  readonly effect: number | null;
  readonly interval: { readonly from: number; readonly to: number; readonly cutLeft: boolean; readonly cutRight: boolean } | null;
}

type Drawn = Pick<FindingResource, 'effect' | 'lower' | 'upper' | 'marginUp' | 'marginDown'>;

/** In pixels from the left. The picture reaches to two and a half margins on both sides. Null when there is nothing to draw. */
export function whiskerOf({ effect, lower, upper, marginUp, marginDown }: Drawn, width: number): WhiskerShape | null {
  if (effect === null && lower === null && upper === null) return null;
  const margins = [marginUp, marginDown].flatMap((margin) => (margin === null ? [] : [margin]));
  const reach = Math.max(...margins.map((margin) => Math.abs(margin)), 0.001) * 2.5;
  const edge = 5;
  const place = (value: number): number => {
    const share = (Math.min(Math.max(value, -reach), reach) + reach) / (2 * reach);
    return Math.round((edge + share * (width - 2 * edge)) * 10) / 10;
  };
  return {
    zero: place(0),
    margins: margins.map(place),
    effect: effect === null ? null : place(effect),
    interval:
      lower === null && upper === null
        ? null
        : {
            from: place(lower ?? -reach),
            to: place(upper ?? reach),
            cutLeft: lower === null || lower < -reach,
            cutRight: upper === null || upper > reach,
          },
  };
}
