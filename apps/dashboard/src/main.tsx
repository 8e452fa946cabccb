// Starts the dashboard: takes a key out of the address before anything else, then draws.
import { createTheme, MantineProvider } from '@mantine/core';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import './styles/index.js';
import { ApiError } from './api/client.js';
import { sessionKey, takeKeyFromAddress } from './api/session.js';
import { makeRouter } from './app/router.js';

const offered = takeKeyFromAddress(window.location, window.history);
// The same page with a key behind it is no new page to the browser: load it again so that the key is taken.
window.addEventListener('hashchange', () => {
  if (window.location.hash.startsWith('#key=')) window.location.reload();
});

/** A session that ended anywhere ends everywhere: the sign-in takes the page's place and the address stays. */
const onError = (error: unknown): void => {
  if (error instanceof ApiError && error.problem.status === 401 && queries.getQueryData(sessionKey)) queries.setQueryData(sessionKey, null);
};
const queries = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      networkMode: 'always',
      staleTime: 2_000,
      retry: (failures, error) => failures < 2 && error instanceof ApiError && (error.problem.status === 0 || error.problem.status >= 500),
    },
    mutations: { networkMode: 'always', retry: false },
  },
});
// A key in the address replaces whoever is signed in: go to the sign-in at once, which tries it.
if (offered !== null) queries.setQueryData(sessionKey, null);

const theme = createTheme({ cursorType: 'pointer', respectReducedMotion: true, defaultRadius: 'md' });
const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    {/* Styles come from files: the security policy allows no style element, so Mantine may write none. */}
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={makeRouter({ key: offered })} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
