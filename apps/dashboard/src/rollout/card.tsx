// A titled part of the rollout's page.
import type { ReactNode } from 'react';
import classes from './card.module.css';

export function Card({ title, aside, children }: { readonly title: string; readonly aside?: ReactNode; readonly children: ReactNode }) {
  return (
    <section className={classes['card']} aria-label={title}>
      <div className={classes['head']}>
        <h2>{title}</h2>
        {aside ? <div className={classes['aside']}>{aside}</div> : null}
      </div>
      {children}
    </section>
  );
}
