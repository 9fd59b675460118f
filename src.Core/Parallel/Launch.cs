namespace DQ.Core.Parallel;

/// <summary>Who started this process as one of several, as the environment says it. MPI itself is not asked, and not loaded.</summary>
/// <param name="Launcher">For people: what starts processes so.</param>
/// <param name="Tasks">How many it started; null where it does not say.</param>
/// <param name="IsOfHydra">It speaks the protocol that MPICH's own launcher speaks.</param>
/// <param name="IsOfOpenMpi">It starts processes for Open MPI alone.</param>
public sealed record Launch(string Launcher, int? Tasks, bool IsOfHydra = false, bool IsOfOpenMpi = false)
{
    /// <summary>Null for a process that nobody started as one of several.</summary>
    public static Launch? OfEnvironment() => Of(Environment.GetEnvironmentVariable);

    /// <summary>The same of any variables.</summary>
    public static Launch? Of(Func<string, string?> variable)
    {
        if (Number("OMPI_COMM_WORLD_SIZE") is { } ofOpenMpi)
            return Several(new("mpirun of Open MPI", ofOpenMpi, IsOfOpenMpi: true));
        // a step of a job: the script around it has the job's variables too, and is one process
        if (variable("SLURM_STEP_ID") is not null && Number("SLURM_STEP_NUM_TASKS") is { } ofSlurm)
            return Several(new("srun", ofSlurm, Number("PMI_RANK") is not null && Number("PMIX_RANK") is null));
        if (Number("PMI_SIZE") is { } ofHydra)
            return Several(new("mpiexec", ofHydra, true));
        return Number("PMIX_RANK") is null ? null : new("a launcher with PMIx", null);

        int? Number(string name) => int.TryParse(variable(name), out var number) && number >= 0 ? number : null;

        static Launch? Several(Launch launch) => launch.Tasks > 1 ? launch : null;
    }
}
