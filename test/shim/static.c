/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program nothing can be loaded into.
 */
#include <unistd.h>

int main(void)
{
	return write(1, "ran\n", 4) != 4;
}
