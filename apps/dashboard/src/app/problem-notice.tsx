// An error of the API as it was told: title, what happened, the fields at fault, and what to do about it.
import { toProblem } from '../api/client.js';
import classes from './problem-notice.module.css';
import { SignMark } from './sign.js';

export function ProblemNotice({ error }: { readonly error: unknown }) {
  const problem = toProblem(error);
  const fields = (problem.errors ?? []).filter(({ detail }) => detail !== problem.detail);
  return (
    <div className={classes['notice']} role="alert">
      <div className={classes['title']}>
        <SignMark sign="cross" />
        {problem.title}
      </div>
      <p>{problem.detail}</p>
      {fields.length > 0 ? (
        <ul className={classes['fields']}>
          {fields.map(({ pointer, detail }) => (
            <li key={pointer}>
              {pointer}: {detail}
            </li>
          ))}
        </ul>
      ) : null}
      {problem.remedy ? <p className={classes['remedy']}>{problem.remedy}</p> : null}
    </div>
  );
}
