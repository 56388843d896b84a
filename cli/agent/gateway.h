/* `--connect SERVICE SCHEME REST`: stands in for ssh, and for git's programs of a remote on this machine's disk.
 * Runs in the worker, where nothing but the gateway can be reached. */
#ifndef GATEWAY_H
#define GATEWAY_H

/* Connects, says what is wanted, then carries bytes both ways until the gateway is done. An exit status. */
int connect_to_gateway(const char *service, const char *scheme, const char *rest);

/* `--await-gateway`: waits a few seconds for a gateway that is just being started. An exit status. */
int await_gateway(void);

#endif
