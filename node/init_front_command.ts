/** The name of the command that the front of an InitServer runs. */
export const INIT_FRONT_COMMAND = "init-front";
