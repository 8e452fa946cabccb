// Starts the dashboard in the page.
import { MantineProvider } from '@mantine/core';
import '@mantine/core/styles.css';
import { createRoot } from 'react-dom/client';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
createRoot(root).render(<MantineProvider withCssVariables={false}>Serin</MantineProvider>);
