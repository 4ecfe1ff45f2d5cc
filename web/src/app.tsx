import { Component, lazy, Suspense, useEffect, type ReactNode } from 'react';
import { Link, Redirect, Route, Switch } from 'wouter';
import { Frame } from './shell/frame';
import { href } from './shell/navigation';
import { InProject, useProject } from './shell/project';
import { projectsOf, SignedIn, useSession } from './shell/session';
import { Splash } from './shell/splash';
import { buttonClass } from './ui/button';
import { Empty, Failure, Loading } from './ui/state';

const SignIn = lazy(() => import('./pages/signin'));
const Setup = lazy(() => import('./pages/setup'));
const Home = lazy(() => import('./pages/home'));
const Live = lazy(() => import('./pages/live'));
const Trends = lazy(() => import('./pages/trends'));
const Funnels = lazy(() => import('./pages/funnels'));
const Flows = lazy(() => import('./pages/flows'));
const Retention = lazy(() => import('./pages/retention'));
const People = lazy(() => import('./pages/users'));
const Person = lazy(() => import('./pages/user'));
const Query = lazy(() => import('./pages/query'));
const Settings = lazy(() => import('./pages/settings'));
const Shortcuts = lazy(() => import('./pages/shortcuts'));

/** A page that breaks must not take the frame with it. */
class Guard extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return <Failure error={this.state.error} onRetry={() => this.setState({ error: null })} title="This page has a fault" />;
  }
}

function Titled({ title, children }: { title: string; children: ReactNode }) {
  const { project } = useProject();
  useEffect(() => {
    document.title = `${title} · ${project.name} · Kolam`;
  }, [title, project.name]);
  return (
    <Guard key={title}>
      <Suspense fallback={<div className="p-6"><Loading /></div>}>{children}</Suspense>
    </Guard>
  );
}

const pages: [string, string, () => ReactNode][] = [
  ['', 'Home', () => <Home />],
  ['/live', 'Live', () => <Live />],
  ['/trends', 'Trends', () => <Trends />],
  ['/funnels', 'Funnels', () => <Funnels />],
  ['/flows', 'Flows', () => <Flows />],
  ['/retention', 'Retention', () => <Retention />],
  ['/users', 'Users', () => <People />],
  ['/user', 'User', () => <Person />],
  ['/query', 'Query', () => <Query />],
  ['/settings', 'Settings', () => <Settings />],
  ['/shortcuts', 'Keyboard shortcuts', () => <Shortcuts />],
];

function ProjectPages({ id }: { id: string }) {
  return (
    <InProject id={id} key={id}>
      <Frame>
        <Switch>
          {pages.map(([path, title, page]) => (
            <Route key={path} path={`/p/:project${path}`}><Titled title={title}>{page()}</Titled></Route>
          ))}
          <Route><NotFound to={href(id)} /></Route>
        </Switch>
      </Frame>
    </InProject>
  );
}

function NotFound({ to }: { to: string }) {
  return (
    <Empty title="There is nothing at this address" action={<Link href={to} className={buttonClass('primary')}>Go home</Link>}>
      The link may be old, or was cut off on its way.
    </Empty>
  );
}

function FirstProject() {
  const session = useSession();
  const projects = projectsOf(session);
  const last = localStorage.getItem('kolam.project');
  const project = projects.find((candidate) => String(candidate.id) === last) ?? projects[0];
  if (project) return <Redirect to={href(project.id)} replace />;
  return (
    <Empty title="You have no project yet">Ask an owner of your organisation to give you access to one.</Empty>
  );
}

export function App() {
  return (
    <Suspense fallback={<Splash />}>
      <Switch>
        <Route path="/signin"><SignIn /></Route>
        <Route path="/setup"><Setup /></Route>
        <Route path="/p/:project/*?">
          {({ project }) => <SignedIn><ProjectPages id={decodeURIComponent(project)} /></SignedIn>}
        </Route>
        <Route path="/"><SignedIn><FirstProject /></SignedIn></Route>
        <Route><NotFound to="/" /></Route>
      </Switch>
    </Suspense>
  );
}
