# Runs $mosdat_file with $mosdat_arguments, which are quoted already as CommandLineToArgvW reads them.
$mosdat_info = New-Object System.Diagnostics.ProcessStartInfo
$mosdat_info.FileName = mosdat_program $mosdat_file
$mosdat_info.Arguments = $mosdat_arguments
$mosdat_info.UseShellExecute = $false
$mosdat_info.RedirectStandardInput = $true
$mosdat_process = [System.Diagnostics.Process]::Start($mosdat_info)
if ($null -ne $mosdat_input) {
    # Not by its own writer, which may begin with a byte order mark.
    $mosdat_bytes = $mosdat_utf8.GetBytes("$mosdat_input`n")
    $mosdat_process.StandardInput.BaseStream.Write($mosdat_bytes, 0, $mosdat_bytes.Length)
}
$mosdat_process.StandardInput.Close()
$mosdat_process.WaitForExit()
exit $mosdat_process.ExitCode
