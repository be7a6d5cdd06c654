//! EAL lifecycle.
