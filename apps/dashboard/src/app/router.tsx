// The addresses of the dashboard: `/` and `/rollouts/{id}`. Alerts link to the second: its form is a promise.
import { createRootRoute, createRoute, createRouter, type ErrorComponentProps, Link } from '@tanstack/react-router';
import { useSession } from '../api/session.js';
import { chartChecks } from '../rollout/chart-data.js';
import { RolloutPage } from '../rollout/rollout-page.js';
import { RolloutList } from '../rollouts/rollout-list.js';
import { ProblemNotice } from './problem-notice.js';
import { Shell } from './shell.js';
import { type Offer, SignIn } from './sign-in.js';

function Root({ offer }: { readonly offer: Offer }) {
  const { data: session, error } = useSession();
  if (session) return <Shell session={session} />;
  if (session === null) return <SignIn offer={offer} />;
  return error ? <ProblemNotice error={error} /> : null;
}

function Nowhere() {
  return (
    <>
      <h1>There is no such page</h1>
      <p>
        <Link to="/">All rollouts</Link>
      </p>
    </>
  );
}

export function makeRouter(offer: Offer) {
  const root = createRootRoute({
    component: () => <Root offer={offer} />,
    notFoundComponent: Nowhere,
    errorComponent: ({ error }: ErrorComponentProps) => <ProblemNotice error={error} />,
  });
  const list = createRoute({ getParentRoute: () => root, path: '/', component: RolloutList });
  const one = createRoute({
    getParentRoute: () => root,
    path: '/rollouts/$id',
    // Which check the chart shows is part of the address, so that a link shows what its sender saw.
    validateSearch: (search: Record<string, unknown>): { check?: (typeof chartChecks)[number] } => {
      const check = chartChecks.find((name) => name === search['check']);
      return check ? { check } : {};
    },
    component: function One() {
      const { id } = one.useParams();
      const { check } = one.useSearch();
      return <RolloutPage key={id} id={id} check={check ?? 'entropy'} />;
    },
  });
  return createRouter({ routeTree: root.addChildren([list, one]), defaultPreload: false, scrollRestoration: true });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
