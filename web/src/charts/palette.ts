/** Eight colours that stay apart for most kinds of colour blindness, on light and on dark. */
const light = ['#0b7285', '#d9822b', '#8a4fa3', '#3d8b46', '#cf4a3f', '#4b79d8', '#8c6a3a', '#6f7a86'];
const dark = ['#5cc3d3', '#f0a95c', '#c08ad6', '#7fc48a', '#f08a80', '#8fb0f5', '#c9a56f', '#a3adb8'];

export function colours(isDark: boolean): readonly string[] {
  return isDark ? dark : light;
}

export function colour(index: number, isDark: boolean): string {
  const list = colours(isDark);
  return list[index % list.length] as string;
}
