// A state as sign, word and colour.
import type { Named } from '../words/names.js';
import { SignMark } from './sign.js';
import classes from './tag.module.css';

export function Tag({ named, label }: { readonly named: Named; readonly label?: string }) {
  return (
    <span className={classes['tag']} data-tone={named.tone}>
      <SignMark sign={named.sign} size={13} />
      {label ? <span className="unseen">{label}: </span> : null}
      {named.word}
    </span>
  );
}
