// A command to run, with a button that copies it.
import classes from './copy-block.module.css';
import { CopyButton } from './copy-button.js';

export function CopyBlock({ text }: { readonly text: string }) {
  return (
    <div className={classes['block']}>
      <pre>{text}</pre>
      <CopyButton text={text} />
    </div>
  );
}
