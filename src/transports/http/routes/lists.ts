// Lists of jobs.

import type { RoutePlugin } from '../http-deps.ts'

export const listRoutes: RoutePlugin = () => undefined
