import './index.css';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Toaster } from 'sonner';
import { App } from './app';
import { ApiError } from './lib/api';
import { applyTheme, useTheme } from './lib/theme';

applyTheme();

/** A session that has ended is noticed by whichever request comes first; the session's own query then leads to sign-in. */
function noticeSignedOut(error: Error, key: readonly unknown[] | undefined): void {
  if (error instanceof ApiError && error.status === 401 && key?.[0] !== 'session') void client.refetchQueries({ queryKey: ['session'] });
}

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: (error, query) => noticeSignedOut(error, query.queryKey) }),
  mutationCache: new MutationCache({ onError: (error, _variables, _result, mutation) => noticeSignedOut(error, mutation.options.mutationKey) }),
  defaultOptions: {
    queries: {
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

function Toasts() {
  const { dark } = useTheme();
  return <Toaster theme={dark ? 'dark' : 'light'} position="bottom-right" closeButton toastOptions={{ className: 'font-sans' }} />;
}

// After an upgrade of the server the parts of an older page are gone: load the newer one, but never in a circle.
window.addEventListener('vite:preloadError', (event) => {
  const last = Number(sessionStorage.getItem('kolam.reloaded') ?? 0);
  if (Date.now() - last < 30_000) return;
  sessionStorage.setItem('kolam.reloaded', String(Date.now()));
  event.preventDefault();
  window.location.reload();
});

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
        <Toasts />
      </QueryClientProvider>
    </StrictMode>,
  );
}
