// What the watch of a promoted version says, in words.
import type { WatchRow } from '#libs/storage';

/** Of an alarm, or of the rollback that followed it. */
export function driftSentence({ model, label, state }: Pick<WatchRow, 'model' | 'label' | 'state'>, reverted: boolean): string {
  const { alarm, reference } = state;
  if (!alarm) return `${model}@${label} answers as it used to.`;
  const margin = Math.round(100 * (reference?.margins[alarm.metric] ?? 0));
  const what = alarm.metric === 'entropy' ? 'output entropy' : 'output length';
  const where = alarm.promptClass === '*' ? '' : `, most of all in class "${alarm.promptClass}"`;
  const moved = `${what} of ${model}@${label} moved ${alarm.direction} by more than ${margin}% of its own past${where}`;
  return reverted
    ? `${moved}, and the heartbeat on frozen texts says the same: the version before serves again.`
    : `${moved}. Whether the model changed or its users did, the heartbeat tells.`;
}
