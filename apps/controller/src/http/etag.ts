// Revisions as entity tags: `ETag: "3"` out, `If-Match: "3"` in.
import { FaultError } from '#libs/base';

/** The revision a client insists on; undefined when it does not. Throws `request.invalid` for anything else than one tag. */
export function revisionOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch === '*') return undefined;
  const tag = /^(?:W\/)?"(\d{1,9})"$/.exec(ifMatch.trim())?.[1];
  if (tag === undefined) {
    throw new FaultError({
      code: 'request.invalid',
      message: `If-Match is ${JSON.stringify(ifMatch)}, not an entity tag of ours.`,
      retryable: false,
      field: 'If-Match',
      remedy: 'Send the ETag that the resource was read with, for example If-Match: "3".',
    });
  }
  return Number(tag);
}
