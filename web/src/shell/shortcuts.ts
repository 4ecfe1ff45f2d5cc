import { useEffect, useRef } from 'react';
import { useLocation } from 'wouter';
import { href, places, typing } from './navigation';
import { useProject } from './project';

/** g then a letter goes to a page, ? shows all keys, / goes to the page's search field. */
export function useShortcuts(): void {
  const { project } = useProject();
  const [, navigate] = useLocation();
  const pressed = useRef(0);
  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if (typing(event)) return;
      const afterG = Date.now() - pressed.current < 1200;
      pressed.current = 0;
      if (afterG) {
        const place = places.find((candidate) => candidate.key === event.key);
        if (place) {
          event.preventDefault();
          event.stopImmediatePropagation();
          navigate(href(project.id, place.path));
        }
      } else if (event.key === 'g') {
        pressed.current = Date.now();
      } else if (event.key === '?') {
        navigate(href(project.id, 'shortcuts'));
      } else if (event.key === '/') {
        const field = document.querySelector<HTMLInputElement>('main input[type=search]');
        if (field) {
          event.preventDefault();
          field.focus();
        }
      }
    };
    window.addEventListener('keydown', key, { capture: true });
    return () => window.removeEventListener('keydown', key, { capture: true });
  }, [project.id, navigate]);
}
