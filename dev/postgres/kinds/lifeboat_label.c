/*
 * A provider of security labels that takes every label: PostgreSQL ships none that runs without SELinux. With it the tests' source
 * can carry labels, and a scratch server without it lacks what every other provider would be lacking.
 */
#include "postgres.h"

#include "commands/seclabel.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

void _PG_init(void);

static void
relabel(const ObjectAddress *object, const char *label)
{
}

void
_PG_init(void)
{
	register_label_provider("lifeboat", relabel);
}
